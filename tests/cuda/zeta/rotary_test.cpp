#include "cuda/zeta/rotary.h"

#include "tests/support/cuda_test.h"
#include "zeta/rotary.h"

namespace paligemma {
namespace {

using namespace test;
using cuda::RotaryKernel;

constexpr RotaryKernel kKernels[] = {RotaryKernel::best, RotaryKernel::thread_per_pair,
                                     RotaryKernel::thread_per_angle};

// As in tests/zeta/rotary_test.cpp, where c is at most 2.
Tolerance rotation(Index position) {
  return float_sum_of(2, 2 * (4 + 1.5 * static_cast<double>(position)));
}

class CudaRotary : public CudaTest {
 protected:
  static void expect_matches_reference(Index first, Index T, Index N, Index R,
                                       const RotaryRule& rule) {
    const auto x = random<float, 3>({T, N, R}, 1);
    const cuda::Stream stream;
    for (Turn turn : {Turn::query, Turn::key}) {
      auto expected = random<float, 3>({T, N, R}, 1);
      rotary(reference, first, rule, turn, expected.view());
      for (RotaryKernel kernel : kKernels) {
        auto x_there = to_device(stream, x.view());
        rotary(stream, first, rule, turn, x_there.view(), kernel);
        const auto y = to_host(stream, x_there.view());
        EXPECT_TRUE(close(y.view(), expected.view(), twice(rotation(first + T))))
            << "T = " << T << ", N = " << N << ", R = " << R << ", kernel "
            << static_cast<int>(kernel);
      }
    }
  }
};

constexpr RotaryRule kXpos{.xpos_scale_base = 512, .xpos_centre = 2};

// 32 features are zeta's; 258 and 16 heads of 32 need a second block.
TEST_F(CudaRotary, EveryKernelMatchesReference) {
  for (Index R : {2, 12, 32, 256, 258}) expect_matches_reference(5, 3, 2, R, kXpos);
}

TEST_F(CudaRotary, EveryKernelTakesAnyNumberOfTokensAndHeads) {
  for (Index T : {1, 7, 8, 9, 257}) expect_matches_reference(0, T, 1, 12, kXpos);
  for (Index N : {1, 8, 16}) expect_matches_reference(3, 2, N, 32, kXpos);
}

TEST_F(CudaRotary, EveryKernelFollowsTheRule) {
  expect_matches_reference(5, 9, 2, 32, {});
  expect_matches_reference(5, 9, 2, 32, {.base = 500});
  expect_matches_reference(5, 9, 2, 32, {.interpolation = 3});
  expect_matches_reference(5, 9, 2, 32, {1000, 2, 64, 9});
}

// The first 8 of 10 features of each of 2 heads, in rows of 40 numbers.
TEST_F(CudaRotary, LeavesWhatStandsBetweenHeadsAlone) {
  const auto rows = random<float, 2>({3, 40}, 1);
  auto expected = random<float, 2>({3, 40}, 1);
  rotary(reference, 2, kXpos, Turn::query,
         View<float, 3>(expected.view().data(), {3, 2, 8}, {40, 10, 1}));
  const cuda::Stream stream;
  for (RotaryKernel kernel : kKernels) {
    auto there = to_device(stream, rows.view());
    rotary(stream, 2, kXpos, Turn::query,
           DeviceView<float, 3>(there.view().data(), {3, 2, 8}, {40, 10, 1}), kernel);
    const auto y = to_host(stream, there.view());
    EXPECT_TRUE(close(y.view(), expected.view(), twice(rotation(5))));
    for (Index t = 0; t < 3; ++t) {
      for (Index i = 0; i < 40; ++i) {
        if (i % 10 >= 8 || i >= 20) {
          EXPECT_EQ(y.view()(t, i), rows.view()(t, i)) << "t = " << t << ", i = " << i;
        }
      }
    }
  }
}

TEST_F(CudaRotary, RejectsWhatItCannotTake) {
  const cuda::Stream stream;
  cuda::DeviceBuffer<float, 3> odd({2, 2, 7}), x({2, 2, 8});
  EXPECT_THROW(rotary(stream, 0, {}, Turn::query, odd.view()), ContractError);
  const DeviceView<float, 3> apart(x.view().data(), {2, 2, 4}, {16, 8, 2});
  EXPECT_THROW(rotary(stream, 0, {}, Turn::query, apart), ContractError);
}

}  // namespace
}  // namespace paligemma
