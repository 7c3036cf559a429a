#include "cuda/paligemma/projector.h"

#include "paligemma/projector.h"
#include "tests/support/cuda_test.h"

namespace paligemma {
namespace {

using namespace test;
using cuda::Math;

template <class Weight>
class CudaProjectorOf : public CudaTest {
 protected:
  static void expect_matches_reference(Index L, Index I, Index D, Math math) {
    const auto x = random<float, 2>({L, I}, 1);
    const auto weight = random<Weight, 2>({D, I}, 2);
    const auto bias = random<Weight, 1>({D}, 3);
    Buffer<float, 2> expected({L, D});
    projector(reference, x.view(), weight.view(), bias.view(), expected.view());
    const cuda::Stream stream(math);
    const auto x_there = to_device(stream, x.view());
    const auto weight_there = to_device(stream, weight.view());
    const auto bias_there = to_device(stream, bias.view());
    cuda::DeviceBuffer<float, 2> y_there({L, D});
    projector(stream, x_there.view(), weight_there.view(), bias_there.view(), y_there.view());
    const auto y = to_host(stream, y_there.view());
    // No term is larger than 1.
    Tolerance t = twice(float_sum_of(I + 1, static_cast<double>(I + 1)));
    if (std::is_same_v<Weight, bf16> && math == Math::bf16) {
      t.absolute += bf16_products_of(I).absolute;
    }
    EXPECT_TRUE(close(y.view(), expected.view(), t))
        << "L = " << L << ", I = " << I << ", D = " << D;
  }
};

using Weights = ::testing::Types<float, bf16, f16>;
TYPED_TEST_SUITE(CudaProjectorOf, Weights);

// 1152 is SigLIP, 25, 36 and 40 the golden PaliGemma 1.
TYPED_TEST(CudaProjectorOf, MatchesReference) {
  for (const Math math : {Math::bf16, Math::float32}) {
    this->expect_matches_reference(1, 1, 1, math);
    this->expect_matches_reference(7, 7, 255, math);
    this->expect_matches_reference(1, 257, 7, math);
    this->expect_matches_reference(25, 36, 40, math);
    this->expect_matches_reference(3, 1152, 64, math);
  }
}

TYPED_TEST(CudaProjectorOf, RejectsWrongShapes) {
  const cuda::Stream stream;
  const cuda::DeviceBuffer<float, 2> x({3, 7});
  const cuda::DeviceBuffer<TypeParam, 2> weight({5, 7}), short_weight({5, 6});
  const cuda::DeviceBuffer<TypeParam, 1> bias({5}), short_bias({4});
  cuda::DeviceBuffer<float, 2> y({3, 5}), narrow_y({3, 4}), short_y({2, 5});
  const auto run = [&](auto& w, auto& b, auto& out) {
    projector(stream, x.view(), w.view(), b.view(), out.view());
  };
  EXPECT_THROW(run(short_weight, bias, y), ContractError);
  EXPECT_THROW(run(weight, short_bias, y), ContractError);
  EXPECT_THROW(run(weight, bias, narrow_y), ContractError);
  EXPECT_THROW(run(weight, bias, short_y), ContractError);
}

}  // namespace
}  // namespace paligemma
