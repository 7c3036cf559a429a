#include "cuda/tensor/softmax.h"

#include <cmath>
#include <limits>

#include "tensor/softmax.h"
#include "tests/support/cuda_test.h"

namespace paligemma {
namespace {

using namespace test;
using cuda::SoftmaxKernel;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr SoftmaxKernel kKernels[] = {SoftmaxKernel::best, SoftmaxKernel::thread_per_row,
                                      SoftmaxKernel::warp_per_row, SoftmaxKernel::block_per_row,
                                      SoftmaxKernel::online};

class CudaSoftmax : public CudaTest {
 protected:
  static Buffer<float, 2> softmax_there(View<const float, 2> x, SoftmaxKernel kernel) {
    const cuda::Stream stream;
    const auto x_there = to_device(stream, x);
    cuda::DeviceBuffer<float, 2> y_there(x.shape());
    softmax(stream, x_there.view(), y_there.view(), kernel);
    return to_host(stream, y_there.view());
  }

  static void expect_matches_reference(Index T, Index S, SoftmaxKernel kernel) {
    const auto x = random<float, 2>({T, S}, 1);
    Buffer<float, 2> expected({T, S});
    softmax(reference, x.view(), expected.view());
    in_every_order([&] {
      const auto y = softmax_there(x.view(), kernel);
      EXPECT_TRUE(close(y.view(), expected.view(), twice(float_sum_of(S))))
          << "T = " << T << ", S = " << S << ", kernel " << static_cast<int>(kernel);
    });
  }
};

// 276 keys are a picture of 224 pixels and a short prompt.
TEST_F(CudaSoftmax, EveryKernelMatchesReference) {
  for (SoftmaxKernel kernel : kKernels) {
    for (Index S : {1, 7, 31, 33, 255, 257, 276, 1025}) expect_matches_reference(3, S, kernel);
  }
}

// More rows than a block has warps, and than it has threads.
TEST_F(CudaSoftmax, EveryKernelTakesAnyNumberOfRows) {
  for (SoftmaxKernel kernel : kKernels) {
    for (Index T : {1, 7, 9, 257}) expect_matches_reference(T, 5, kernel);
  }
}

TEST_F(CudaSoftmax, DoesNotOverflow) {
  const auto x = rows_of({{1000, 1000, -1000}, {-1000, -1000, -2000}});
  for (SoftmaxKernel kernel : kKernels) {
    const auto y = softmax_there(x.view(), kernel);
    EXPECT_TRUE(close(y.view(), rows_of({{0.5, 0.5, 0}, {0.5, 0.5, 0}}).view(), kExact));
  }
}

// The first thread of the online kernel sees nothing but masked scores.
TEST_F(CudaSoftmax, GivesMinusInfinityNoWeight) {
  const auto x = rows_of({{-kInfinity, -2, -2, -kInfinity}});
  for (SoftmaxKernel kernel : kKernels) {
    const auto y = softmax_there(x.view(), kernel);
    EXPECT_TRUE(close(y.view(), rows_of({{0, 0.5, 0.5, 0}}).view(), kExact));
  }
}

TEST_F(CudaSoftmax, TakesAMaskInFrontOfAScoreInOneThread) {
  Buffer<float, 2> x({1, 513});
  for (Index s = 0; s < 512; ++s) x.view()(0, s) = -kInfinity;
  for (SoftmaxKernel kernel : kKernels) {
    const auto y = softmax_there(x.view(), kernel);
    EXPECT_EQ(y.view()(0, 0), 0);
    EXPECT_EQ(y.view()(0, 512), 1);
  }
}

TEST_F(CudaSoftmax, HasNoAnswerIfEveryScoreIsMinusInfinity) {
  const auto x = rows_of({{-kInfinity, -kInfinity}});
  for (SoftmaxKernel kernel : kKernels) {
    EXPECT_TRUE(std::isnan(softmax_there(x.view(), kernel).view()(0, 1)));
  }
}

TEST_F(CudaSoftmax, MayWriteInPlace) {
  const auto x = random<float, 2>({3, 300}, 1);
  const cuda::Stream stream;
  for (SoftmaxKernel kernel : kKernels) {
    const auto expected = softmax_there(x.view(), kernel);
    in_every_order([&] {
      auto x_there = to_device(stream, x.view());
      softmax(stream, x_there.view(), x_there.view(), kernel);
      const auto y = to_host(stream, x_there.view());
      EXPECT_TRUE(close(y.view(), expected.view(), kExact));
    });
  }
}

TEST_F(CudaSoftmax, RejectsAnOutputOfAnotherShape) {
  const cuda::Stream stream;
  const cuda::DeviceBuffer<float, 2> x({3, 5});
  cuda::DeviceBuffer<float, 2> y({5, 3});
  EXPECT_THROW(softmax(stream, x.view(), y.view()), ContractError);
}

}  // namespace
}  // namespace paligemma
