#include "cuda/gemma/soft_cap.h"

#include "gemma/soft_cap.h"
#include "tests/support/cuda_test.h"

namespace paligemma {
namespace {

using namespace test;
using cuda::SoftCapKernel;

// A quotient, a tanh that a GPU has within 2 ulp (4 roundings), a product; the reference likewise.
constexpr Tolerance kSoftCap = twice(float_operations(6));

class CudaSoftCap : public CudaTest {
 protected:
  static void expect_matches_reference(Index V, SoftCapKernel kernel) {
    auto expected = random<float, 2>({1, V}, 1);
    for (Index v = 0; v < V; ++v) expected.view()(0, v) *= 100;
    const cuda::Stream stream;
    auto x_there = to_device(stream, expected.view());
    soft_cap(stream, 30, x_there.view(), kernel);
    soft_cap(reference, 30, expected.view());
    const auto y = to_host(stream, x_there.view());
    EXPECT_TRUE(close(y.view(), expected.view(), kSoftCap)) << "V = " << V;
  }
};

TEST_F(CudaSoftCap, ThreadPerNumberMatchesReference) {
  for (Index V : {1, 7, 255, 257, 1856})
    expect_matches_reference(V, SoftCapKernel::thread_per_number);
}

TEST_F(CudaSoftCap, ThreadPerPackMatchesReference) {
  for (Index V : {4, 256, 1020, 1028, 1856})
    expect_matches_reference(V, SoftCapKernel::thread_per_pack);
}

TEST_F(CudaSoftCap, BestMatchesReference) {
  for (Index V : {1, 7, 255, 257, 1856}) expect_matches_reference(V, SoftCapKernel::best);
}

TEST_F(CudaSoftCap, BestTakesScoresThatStartAnywhere) {
  auto expected = random<float, 2>({1, 9}, 1);
  const cuda::Stream stream;
  auto there = to_device(stream, expected.view());
  soft_cap(stream, 30, DeviceView<float, 2>(there.view().data() + 1, {1, 8}));
  soft_cap(reference, 30, View<float, 2>(expected.view().data() + 1, {1, 8}));
  const auto y = to_host(stream, there.view());
  EXPECT_TRUE(close(y.view(), expected.view(), kSoftCap));
}

TEST_F(CudaSoftCap, RejectsWhatItCannotTake) {
  const cuda::Stream stream;
  cuda::DeviceBuffer<float, 2> x({1, 7});
  EXPECT_THROW(soft_cap(stream, 0, x.view()), ContractError);
  EXPECT_THROW(soft_cap(stream, 30, x.view(), SoftCapKernel::thread_per_pack), ContractError);
}

}  // namespace
}  // namespace paligemma
