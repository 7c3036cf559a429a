#include "cuda/gemma/rope.h"

#include "gemma/rope.h"
#include "tests/support/cuda_test.h"

namespace paligemma {
namespace {

using namespace test;
using cuda::RopeKernel;

constexpr float kTheta = 10000;
constexpr RopeKernel kKernels[] = {RopeKernel::best, RopeKernel::thread_per_pair,
                                   RopeKernel::thread_per_angle, RopeKernel::thread_per_frequency};

// As in tests/gemma/rope_test.cpp: two products and their sum, and an angle of at most `position` that
// was rounded twice.
Tolerance rotation(Index position) { return float_sum_of(2, 2 + static_cast<double>(position)); }

class CudaRope : public CudaTest {
 protected:
  static void expect_matches_reference(Index first, Index T, Index N, Index H) {
    const auto x = random<float, 3>({T, N, H}, 1);
    auto expected = random<float, 3>({T, N, H}, 1);
    rope(reference, first, kTheta, expected.view());
    const cuda::Stream stream;
    for (RopeKernel kernel : kKernels) {
      auto x_there = to_device(stream, x.view());
      rope(stream, first, kTheta, x_there.view(), kernel);
      const auto y = to_host(stream, x_there.view());
      EXPECT_TRUE(close(y.view(), expected.view(), twice(rotation(first + T))))
          << "T = " << T << ", N = " << N << ", H = " << H << ", kernel "
          << static_cast<int>(kernel);
    }
  }
};

// 256 is Gemma's head size, 12 the golden checkpoint's; 258 needs a second block.
TEST_F(CudaRope, EveryKernelMatchesReference) {
  for (Index H : {2, 12, 254, 256, 258}) expect_matches_reference(5, 3, 2, H);
}

// 7, 8, 9: a run of tokens short of, just and beyond one thread's; 257 lets `best` choose runs.
TEST_F(CudaRope, EveryKernelTakesAnyNumberOfTokensAndHeads) {
  for (Index T : {1, 7, 8, 9, 257}) expect_matches_reference(0, T, 1, 12);
  for (Index N : {1, 8}) expect_matches_reference(3, 2, N, 16);
}

TEST_F(CudaRope, LeavesWhatStandsBetweenTokensAlone) {
  const auto row = random<float, 2>({3, 40}, 1);  // queries of 16 numbers, then 24 others
  auto expected = random<float, 2>({3, 40}, 1);
  rope(reference, 2, kTheta, View<float, 3>(expected.view().data(), {3, 2, 8}, {40, 8, 1}));
  const cuda::Stream stream;
  for (RopeKernel kernel : kKernels) {
    auto there = to_device(stream, row.view());
    rope(stream, 2, kTheta, DeviceView<float, 3>(there.view().data(), {3, 2, 8}, {40, 8, 1}),
         kernel);
    const auto y = to_host(stream, there.view());
    EXPECT_TRUE(close(y.view(), expected.view(), twice(rotation(5))));
    for (Index t = 0; t < 3; ++t) {
      for (Index i = 16; i < 40; ++i) EXPECT_EQ(y.view()(t, i), row.view()(t, i));
    }
  }
}

TEST_F(CudaRope, RejectsWhatItCannotTake) {
  const cuda::Stream stream;
  cuda::DeviceBuffer<float, 3> odd({2, 2, 7}), x({2, 2, 8});
  EXPECT_THROW(rope(stream, 0, kTheta, odd.view()), ContractError);
  const DeviceView<float, 3> turned(x.view().data(), {2, 2, 8}, {1, 2, 4});
  EXPECT_THROW(rope(stream, 0, kTheta, turned), ContractError);
}

}  // namespace
}  // namespace paligemma
