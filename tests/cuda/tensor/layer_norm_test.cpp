#include "cuda/tensor/layer_norm.h"

#include "tensor/layer_norm.h"
#include "tests/support/cuda_test.h"

namespace paligemma {
namespace {

using namespace test;
using cuda::LayerNormKernel;

constexpr float kEps = 0.01f;  // large enough to be seen

template <class Weight>
class CudaLayerNormOf : public CudaTest {
 protected:
  static void expect_matches_reference(Index L, Index D, LayerNormKernel kernel) {
    const auto x = random<float, 2>({L, D}, 1);
    const auto scale = random<Weight, 1>({D}, 2), bias = random<Weight, 1>({D}, 3);
    Buffer<float, 2> expected({L, D});
    layer_norm(reference, x.view(), scale.view(), bias.view(), kEps, expected.view());

    const cuda::Stream stream;
    const auto x_there = to_device(stream, x.view());
    const auto scale_there = to_device(stream, scale.view());
    const auto bias_there = to_device(stream, bias.view());
    in_every_order([&] {
      cuda::DeviceBuffer<float, 2> y_there({L, D});
      layer_norm(stream, x_there.view(), scale_there.view(), bias_there.view(), kEps,
                 y_there.view(), kernel);
      const auto y = to_host(stream, y_there.view());
      // |z scale| stays below 2 and |bias| below 1, as in tests/tensor/layer_norm_test.cpp.
      EXPECT_TRUE(close(y.view(), expected.view(), twice(float_sum_of(D, 3))))
          << "L = " << L << ", D = " << D;
    });
  }
};

using Weights = ::testing::Types<float, bf16, f16>;
TYPED_TEST_SUITE(CudaLayerNormOf, Weights);

constexpr Index kFeatures[] = {1, 7, 255, 257, 1152};

TYPED_TEST(CudaLayerNormOf, ThreadPerRowMatchesReference) {
  for (Index L : {1, 257}) this->expect_matches_reference(L, 7, LayerNormKernel::thread_per_row);
  for (Index D : kFeatures) this->expect_matches_reference(3, D, LayerNormKernel::thread_per_row);
}

TYPED_TEST(CudaLayerNormOf, BlockPerRowMatchesReference) {
  for (Index D : kFeatures) this->expect_matches_reference(3, D, LayerNormKernel::block_per_row);
}

TYPED_TEST(CudaLayerNormOf, BlockPerRowVecMatchesReference) {
  for (Index D : {4, 36, 1020, 1028, 1152}) {
    this->expect_matches_reference(3, D, LayerNormKernel::block_per_row_vec);
  }
}

TYPED_TEST(CudaLayerNormOf, BestMatchesReference) {
  for (Index D : kFeatures) this->expect_matches_reference(3, D, LayerNormKernel::best);
}

class CudaLayerNorm : public CudaTest {};

// The variance as a mean of squares less the square of the mean would be noise here.
TEST_F(CudaLayerNorm, KeepsDigitsBesideALargeMean) {
  auto x = random<float, 2>({1, 256}, 1);
  for (Index d = 0; d < 256; ++d) x.view()(0, d) += 1000;
  const auto scale = random<float, 1>({256}, 2), bias = random<float, 1>({256}, 3);
  Buffer<float, 2> expected({1, 256});
  layer_norm(reference, x.view(), scale.view(), bias.view(), kEps, expected.view());
  const cuda::Stream stream;
  const auto scale_there = to_device(stream, scale.view()),
             bias_there = to_device(stream, bias.view());
  for (auto kernel : {LayerNormKernel::thread_per_row, LayerNormKernel::block_per_row,
                      LayerNormKernel::block_per_row_vec}) {
    auto x_there = to_device(stream, x.view());
    layer_norm(stream, x_there.view(), scale_there.view(), bias_there.view(), kEps, x_there.view(),
               kernel);  // in place
    const auto y = to_host(stream, x_there.view());
    // An error of the mean, 1000 times a rounding of a sum, moves all z by as much.
    EXPECT_TRUE(close(y.view(), expected.view(), twice(float_sum_of(256, 1000 * 2))));
  }
}

TEST_F(CudaLayerNorm, RejectsWhatItCannotTake) {
  const cuda::Stream stream;
  const cuda::DeviceBuffer<float, 2> x({2, 7});
  const cuda::DeviceBuffer<float, 1> scale({7}), shorter({6});
  cuda::DeviceBuffer<float, 2> y({2, 7}), short_y({1, 7});
  const auto try_it = [&](auto s, auto b, auto to, LayerNormKernel kernel) {
    layer_norm<float>(stream, x.view(), s, b, kEps, to, kernel);
  };
  const auto best = LayerNormKernel::best;
  EXPECT_THROW(try_it(shorter.view(), scale.view(), y.view(), best), ContractError);
  EXPECT_THROW(try_it(scale.view(), shorter.view(), y.view(), best), ContractError);
  EXPECT_THROW(try_it(scale.view(), scale.view(), short_y.view(), best), ContractError);
  EXPECT_THROW(try_it(scale.view(), scale.view(), y.view(), LayerNormKernel::block_per_row_vec),
               ContractError);
}

}  // namespace
}  // namespace paligemma
