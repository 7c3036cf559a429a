#include "cuda/tensor/multiply.h"

#include "tests/support/cuda_test.h"

namespace paligemma {
namespace {

using namespace test;

// The GPU's exp may differ in the last places.
constexpr Tolerance kExp = float_operations(8);

class CudaMultiply : public CudaTest {
 protected:
  template <class Number>
  static void expect_matches_reference(Index rows_of_a, Index D, MultiplyRule rule) {
    const auto a = random<Number, 2>({rows_of_a, D}, 1);
    auto x = random<float, 2>({3, D}, 2);
    const cuda::Stream stream;
    const auto a_there = to_device(stream, a.view());
    auto x_there = to_device(stream, x.view());
    multiply(stream, a_there.view(), rule, x_there.view());
    multiply(reference, a.view(), rule, x.view());
    const auto product = to_host(stream, x_there.view());
    EXPECT_TRUE(close(product.view(), x.view(), kExp)) << rows_of_a << " rows, D = " << D;
  }
};

TEST_F(CudaMultiply, MatchesReference) {
  for (const Index D : {1, 7, 255, 257}) {
    for (const Gate gate : {Gate::identity, Gate::sigmoid, Gate::relu}) {
      for (const Index rows : {1, 3}) {
        expect_matches_reference<float>(rows, D, {gate, 0.5f});
        expect_matches_reference<bf16>(rows, D, {gate, 2.0f});
        expect_matches_reference<f16>(rows, D, {gate});
      }
    }
  }
}

TEST_F(CudaMultiply, OfItselfThroughASigmoidIsSilu) {
  auto x = random<float, 2>({3, 257}, 1);
  const cuda::Stream stream;
  auto there = to_device(stream, x.view());
  multiply(stream, DeviceView<const float, 2>(there.view()), {Gate::sigmoid}, there.view());
  multiply(reference, View<const float, 2>(x.view()), {Gate::sigmoid}, x.view());
  EXPECT_TRUE(close(to_host(stream, there.view()).view(), x.view(), kExp));
}

TEST_F(CudaMultiply, ByAFactorAlone) {
  const auto x = random<float, 2>({3, 7}, 1);
  const cuda::Stream stream;
  auto there = to_device(stream, x.view());
  multiply(stream, DeviceView<const float, 2>{}, {Gate::identity, 0.5f}, there.view());
  const auto half = to_host(stream, there.view());
  for (Index i = 0; i < 21; ++i) EXPECT_EQ(half.view().data()[i], x.view().data()[i] / 2);
}

TEST_F(CudaMultiply, RejectsOtherShapes) {
  const cuda::Stream stream;
  const cuda::DeviceBuffer<float, 2> two({2, 7}), narrow_rows({3, 6});
  cuda::DeviceBuffer<float, 2> x({3, 7});
  EXPECT_THROW(multiply(stream, two.view(), {}, x.view()), ContractError);
  EXPECT_THROW(multiply(stream, narrow_rows.view(), {}, x.view()), ContractError);
}

}  // namespace
}  // namespace paligemma
