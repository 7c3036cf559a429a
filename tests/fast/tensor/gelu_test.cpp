#include "fast/tensor/gelu.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "tests/support/instruction_sets.h"

namespace paligemma {
namespace {

using namespace test;

// Of numbers up to 8. Ours: the argument -2u has five roundings, of constants too, and its exponential is within 2 ulp;
// both reach the share times 1 - share, so they are 1.7 roundings of 1 at most, near |x| = 1.5. The rest is relative.
// The reference: 1 + tanh u is off by 2 roundings of 1, of tanh near -1, which x / 2 makes 8; its argument adds 1.2.
constexpr Tolerance kTolerance{8 * kUnitRoundoff, 11 * kUnitRoundoff};

// 1 - share is off by 2 roundings of 1 until share is 1, and 1 - tanh^2 by 4. They are multiplied by x 2u', 35 at x = 5
// where both end, and by half of that.
constexpr Tolerance kSlopeTolerance{10 * kUnitRoundoff, (70 + 70) * kUnitRoundoff};

class FastGelu : public OnEveryInstructionSet {
 protected:
  static Buffer<float, 2> numbers(Index T, Index F, std::uint32_t seed) {
    auto x = random<float, 2>({T, F}, seed);
    for (Index i = 0; i < x.view().count(); ++i) x.view().data()[i] *= 8;
    return x;
  }
};
INSTANTIATE_TEST_SUITE_P(, FastGelu, kInstructionSets, instruction_set_name);

// Threads take 2048 numbers at a time.
TEST_P(FastGelu, MatchesReference) {
  for (const Index F : {1, 7, 72, 255, 257, 2049, 4304}) {
    const auto x = numbers(3, F, 1), dy = random<float, 2>({3, F}, 2);
    Buffer<float, 2> y({3, F}), expected({3, F});
    gelu(fast, GeluForm::tanh, x.view(), y.view());
    gelu(reference, GeluForm::tanh, x.view(), expected.view());
    EXPECT_TRUE(close(y.view(), expected.view(), kTolerance)) << "F = " << F;
    gelu_backward(fast, GeluForm::tanh, x.view(), dy.view(), y.view());
    gelu_backward(reference, GeluForm::tanh, x.view(), dy.view(), expected.view());
    EXPECT_TRUE(close(y.view(), expected.view(), kSlopeTolerance)) << "F = " << F;
  }
}

TEST_P(FastGelu, TheExactFormIsTheReferences) {
  const auto x = numbers(3, 40, 1), dy = random<float, 2>({3, 40}, 2);
  Buffer<float, 2> y({3, 40}), expected({3, 40});
  gelu(fast, GeluForm::exact, x.view(), y.view());
  gelu(reference, GeluForm::exact, x.view(), expected.view());
  EXPECT_TRUE(close(y.view(), expected.view(), kExact));
  gelu_backward(fast, GeluForm::exact, x.view(), dy.view(), y.view());
  gelu_backward(reference, GeluForm::exact, x.view(), dy.view(), expected.view());
  EXPECT_TRUE(close(y.view(), expected.view(), kExact));
}

// The slope's x^2 ends near 1e19, as the reference's does.
TEST_P(FastGelu, GoesFarOut) {
  const auto x = rows_of({{-1e18, -100, -15, 15, 100, 1e18}}), ones = rows_of({{1, 1, 1, 1, 1, 1}});
  Buffer<float, 2> y({1, 6}), dx({1, 6});
  gelu(fast, GeluForm::tanh, x.view(), y.view());
  gelu_backward(fast, GeluForm::tanh, x.view(), ones.view(), dx.view());
  for (Index f = 0; f < 6; ++f) {
    EXPECT_EQ(y.view()(0, f), std::max(0.0f, x.view()(0, f)));
    EXPECT_EQ(dx.view()(0, f), x.view()(0, f) > 0 ? 1 : 0);
  }
}

// In whole registers and in the rest behind them.
TEST_P(FastGelu, PassesNaNOn) {
  for (const Index F : {3, 32}) {
    Buffer<float, 2> x({1, F}), y({1, F});
    x.view()(0, F - 1) = NAN;
    gelu(fast, GeluForm::tanh, x.view(), y.view());
    EXPECT_TRUE(std::isnan(y.view()(0, F - 1)));
    gelu_backward(fast, GeluForm::tanh, x.view(), x.view(), y.view());
    EXPECT_TRUE(std::isnan(y.view()(0, F - 1)));
    EXPECT_EQ(y.view()(0, 0), 0);
  }
}

TEST_P(FastGelu, WritesNothingBeside) {
  for (const Index F : {1, 7, 33, 47}) {
    const auto x = numbers(1, F, 1);
    const auto before = random<float, 1>({64}, 3);
    for (const bool back : {false, true}) {
      auto memory = random<float, 1>({64}, 3);
      const View<float, 2> y(memory.view().data(), {1, F});
      if (back) gelu_backward(fast, GeluForm::tanh, x.view(), x.view(), y);
      if (!back) gelu(fast, GeluForm::tanh, x.view(), y);
      for (Index i = F; i < 64; ++i) EXPECT_EQ(memory.view()(i), before.view()(i));
    }
  }
}

TEST_P(FastGelu, MayWriteInPlace) {
  const auto x = numbers(3, 2049, 1), dy = random<float, 2>({3, 2049}, 2);
  Buffer<float, 2> expected({3, 2049});
  auto y = numbers(3, 2049, 1), dx = random<float, 2>({3, 2049}, 2);
  gelu(fast, GeluForm::tanh, x.view(), expected.view());
  gelu(fast, GeluForm::tanh, std::as_const(y).view(), y.view());
  EXPECT_TRUE(close(y.view(), expected.view(), kExact));
  gelu_backward(fast, GeluForm::tanh, x.view(), dy.view(), expected.view());
  gelu_backward(fast, GeluForm::tanh, x.view(), std::as_const(dx).view(), dx.view());
  EXPECT_TRUE(close(dx.view(), expected.view(), kExact));
}

// Each of the views alone.
TEST_P(FastGelu, TakesColumnsOfAWiderMatrix) {
  const auto x = numbers(3, 20, 1), dy = random<float, 2>({3, 20}, 2);
  Buffer<float, 2> y({3, 20}), expected({3, 20}), wide({3, 40});
  const View<float, 2> columns(wide.view().data(), {3, 20}, {40, 1});
  const View<const float, 2> in_columns = columns;

  gelu(reference, GeluForm::tanh, x.view(), expected.view());
  copy(reference, x.view(), columns);
  gelu(fast, GeluForm::tanh, in_columns, y.view());
  EXPECT_TRUE(close(y.view(), expected.view(), kTolerance));
  gelu(fast, GeluForm::tanh, x.view(), columns);
  copy(reference, in_columns, y.view());
  EXPECT_TRUE(close(y.view(), expected.view(), kTolerance));

  gelu_backward(reference, GeluForm::tanh, x.view(), dy.view(), expected.view());
  copy(reference, x.view(), columns);
  gelu_backward(fast, GeluForm::tanh, in_columns, dy.view(), y.view());
  EXPECT_TRUE(close(y.view(), expected.view(), kSlopeTolerance));
  copy(reference, dy.view(), columns);
  gelu_backward(fast, GeluForm::tanh, x.view(), in_columns, y.view());
  EXPECT_TRUE(close(y.view(), expected.view(), kSlopeTolerance));
  gelu_backward(fast, GeluForm::tanh, x.view(), dy.view(), columns);
  copy(reference, in_columns, y.view());
  EXPECT_TRUE(close(y.view(), expected.view(), kSlopeTolerance));
}

TEST_P(FastGelu, RejectsOtherShapes) {
  Buffer<float, 2> x({2, 3}), y({2, 4});
  EXPECT_THROW(gelu(fast, GeluForm::tanh, x.view(), y.view()), ContractError);
  EXPECT_THROW(gelu_backward(fast, GeluForm::tanh, x.view(), y.view(), x.view()), ContractError);
  EXPECT_THROW(gelu_backward(fast, GeluForm::tanh, x.view(), x.view(), y.view()), ContractError);
}

}  // namespace
}  // namespace paligemma
