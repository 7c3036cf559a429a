#include "siglip/mlp.h"

#include "cuda/core/device_buffer.h"
#include "cuda/core/device_weights.h"
#include "cuda/tensor/linear.h"
#include "tests/support/cuda_test.h"
#include "tests/support/vision_tower.h"

namespace paligemma {
namespace {

using namespace test;

template <class Real>
class CudaSiglipMlpOf : public CudaTest {};
using Weights = ::testing::Types<float, bf16, f16>;
TYPED_TEST_SUITE(CudaSiglipMlpOf, Weights);

// The composite, and what overload resolution puts in its place.
TYPED_TEST(CudaSiglipMlpOf, EqualsTheCompositionOfTheReference) {
  using Real = TypeParam;
  siglip::EncoderShape shape;
  shape.image_size = 3 * shape.patch_size;
  shape.width = 36, shape.mlp_width = 52, shape.heads = 3;
  for (const GeluForm form : {GeluForm::tanh, GeluForm::exact}) {
    shape.gelu = form;
    RandomWeights<Real> source;
    const siglip::MlpWeights<HostWeights<Real>> w{source.linear(52, 36), source.linear(36, 52)};
    const auto x = random<float, 2>({9, 36}, 5);
    siglip::EncoderScratch<Reference> expected(shape);
    copy(reference, x.view(), expected.normed.view());
    mlp(reference, w, shape, expected);

    const cuda::Stream stream(cuda::Math::float32);
    const auto weight1 = to_device(stream, w.fc1.weight), weight2 = to_device(stream, w.fc2.weight);
    const auto bias1 = to_device(stream, w.fc1.bias), bias2 = to_device(stream, w.fc2.bias);
    const siglip::MlpWeights<cuda::DeviceWeights<Real>> there{{weight1.view(), bias1.view()},
                                                              {weight2.view(), bias2.view()}};
    siglip::EncoderScratch<cuda::Stream> s(shape);
    copy_from_host<float, 2>(stream, x.view(), s.normed.view());
    mlp(stream, there, shape, s);
    const auto y = to_host(stream, s.branch.view());
    // Two sums; their terms are at most 2 / sqrt(I) of numbers around 1.
    EXPECT_TRUE(
        close(y.view(), std::as_const(expected.branch).view(), twice(float_sum_of(36 + 52, 10))));
  }
}

}  // namespace
}  // namespace paligemma
