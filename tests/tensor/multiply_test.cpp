#include "tensor/multiply.h"

#include <cmath>

#include "tests/support/compare.h"
#include "tests/support/data.h"

namespace paligemma {
namespace {

using namespace test;

// docs/tensor/multiply.md, "By hand".
TEST(Multiply, WorkedExample) {
  const auto a = rows_of({{2, -3, 0.5}});
  auto x = rows_of({{1, 2, 3}, {4, 5, 6}});
  multiply(reference, std::as_const(a).view(), {Gate::identity, 0.5f}, x.view());
  EXPECT_TRUE(close(x.view(), rows_of({{1, -3, 0.75}, {4, -7.5, 1.5}}).view(), kExact));
}

TEST(Multiply, ByAFactorAlone) {
  auto x = rows_of({{1, 2}, {3, 4}});
  multiply(reference, View<const float, 2>{}, {Gate::identity, 0.5f}, x.view());
  EXPECT_TRUE(close(x.view(), rows_of({{0.5, 1}, {1.5, 2}}).view(), kExact));
}

TEST(Multiply, EveryRowMayHaveItsOwn) {
  const auto a = rows_of({{1, 2}, {3, 4}});
  auto x = rows_of({{1, 1}, {1, 1}});
  multiply(reference, a.view(), {}, x.view());
  EXPECT_TRUE(close(x.view(), a.view(), kExact));
}

// SiLU, in double.
TEST(Multiply, OfItselfThroughASigmoidIsSilu) {
  auto x = random<float, 2>({3, 257}, 1);
  Buffer<float, 2> expected({3, 257});
  for (Index i = 0; i < 3 * 257; ++i) {
    const double v = 8 * x.view().data()[i];
    x.view().data()[i] = static_cast<float>(v);
    expected.view().data()[i] = static_cast<float>(v / (1 + std::exp(-v)));
  }
  multiply(reference, View<const float, 2>(x.view()), {Gate::sigmoid}, x.view());
  EXPECT_TRUE(close(x.view(), expected.view(), float_operations(8)));
}

TEST(Multiply, OfItselfThroughAReluIsItsSquareOrNothing) {
  auto x = rows_of({{3, -3, 0.5, 0}});
  multiply(reference, View<const float, 2>(x.view()), {Gate::relu}, x.view());
  EXPECT_TRUE(close(x.view(), rows_of({{9, 0, 0.25, 0}}).view(), kExact));
}

// Far below 0 a sigmoid is 0, and no number is lost on the way.
TEST(Multiply, ASigmoidNeverOverflows) {
  auto x = rows_of({{-1000, 1000}});
  multiply(reference, View<const float, 2>(x.view()), {Gate::sigmoid}, x.view());
  EXPECT_TRUE(close(x.view(), rows_of({{0, 1000}}).view(), kExact));
}

TEST(Multiply, WidensShortNumbers) {
  const auto a = rows_of<bf16>({{1.5, 2}});
  auto x = rows_of({{2, 3}});
  multiply(reference, View<const bf16, 2>(a.view()), {}, x.view());
  EXPECT_TRUE(close(x.view(), rows_of({{3, 6}}).view(), kExact));
}

TEST(Multiply, RejectsOtherShapes) {
  const auto narrow_rows = random<float, 2>({3, 6}, 1), two = random<float, 2>({2, 7}, 1);
  auto x = random<float, 2>({3, 7}, 1);
  EXPECT_THROW(multiply(reference, narrow_rows.view(), {}, x.view()), ContractError);
  EXPECT_THROW(multiply(reference, two.view(), {}, x.view()), ContractError);
}

}  // namespace
}  // namespace paligemma
