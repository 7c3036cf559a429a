#include "tensor/softmax.h"

#include <cmath>
#include <limits>

#include "tests/support/compare.h"
#include "tests/support/data.h"
#include "tests/support/gradients.h"

namespace paligemma {
namespace {

using namespace test;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// docs/tensor/softmax.md, "By hand". 0.6931472 is log 2.
TEST(Softmax, WorkedExample) {
  const auto x = rows_of({{0, 0, 0.6931472}});
  Buffer<float, 2> y({1, 3});
  softmax(reference, x.view(), y.view());
  EXPECT_TRUE(close(y.view(), rows_of({{0.25, 0.25, 0.5}}).view(), float_sum_of(3)));
}

TEST(Softmax, GivesEqualScoresEqualWeights) {
  const auto x = rows_of({{-3, -3, -3, -3}});
  Buffer<float, 2> y({1, 4});
  softmax(reference, x.view(), y.view());
  EXPECT_TRUE(close(y.view(), rows_of({{0.25, 0.25, 0.25, 0.25}}).view(), kExact));
}

TEST(Softmax, TreatsEachRowByItself) {
  const auto x = rows_of({{0, 100}, {5, 5}});
  Buffer<float, 2> y({2, 2}), alone({1, 2});
  softmax(reference, x.view(), y.view());
  softmax(reference, x.view().rows(1, 2), alone.view());
  EXPECT_TRUE(close(y.view().rows(1, 2), alone.view(), kExact));
}

// exp(89) is no float any more.
TEST(Softmax, DoesNotOverflow) {
  const auto x = rows_of({{1000, 1000, -1000}});
  Buffer<float, 2> y({1, 3});
  softmax(reference, x.view(), y.view());
  EXPECT_TRUE(close(y.view(), rows_of({{0.5, 0.5, 0}}).view(), kExact));
}

// exp(-104) is none either: without the maximum taken away the row would be 0 / 0.
TEST(Softmax, DoesNotVanish) {
  const auto x = rows_of({{-1000, -1000}});
  Buffer<float, 2> y({1, 2});
  softmax(reference, x.view(), y.view());
  EXPECT_TRUE(close(y.view(), rows_of({{0.5, 0.5}}).view(), kExact));
}

// All these numbers are multiples of 1/4, so no sum or difference of them is rounded.
TEST(Softmax, IgnoresWhatIsAddedToAllScores) {
  const auto x = rows_of({{0.5, -0.25, 1.75}});
  const auto shifted = rows_of({{64.5, 63.75, 65.75}});
  Buffer<float, 2> y({1, 3}), y_shifted({1, 3});
  softmax(reference, x.view(), y.view());
  softmax(reference, shifted.view(), y_shifted.view());
  EXPECT_TRUE(close(y.view(), y_shifted.view(), kExact));
}

// What masks with scores must write -infinity. A 0 is a score like any other.
TEST(Softmax, GivesMinusInfinityNoWeight) {
  const auto masked = rows_of({{-2, -kInfinity, -2}}), zeroed = rows_of({{-2, 0, -2}});
  Buffer<float, 2> y({1, 3}), y_zeroed({1, 3});
  softmax(reference, masked.view(), y.view());
  softmax(reference, zeroed.view(), y_zeroed.view());
  EXPECT_TRUE(close(y.view(), rows_of({{0.5, 0, 0.5}}).view(), kExact));
  EXPECT_GT(y_zeroed.view()(0, 1), 0.7);
}

TEST(Softmax, HasNoAnswerIfEveryScoreIsMinusInfinity) {
  const auto x = rows_of({{-kInfinity, -kInfinity}});
  Buffer<float, 2> y({1, 2});
  softmax(reference, x.view(), y.view());
  EXPECT_TRUE(std::isnan(y.view()(0, 0)));
  EXPECT_TRUE(std::isnan(y.view()(0, 1)));
}

TEST(Softmax, MayWriteInPlace) {
  auto x = random<float, 2>({3, 64}, 1);
  Buffer<float, 2> y({3, 64});
  softmax(reference, x.view(), y.view());
  softmax(reference, x.view(), x.view());
  EXPECT_TRUE(close(x.view(), y.view(), kExact));
}

TEST(Softmax, MayReadAndWriteColumns) {
  auto x = random<float, 2>({3, 5}, 1);
  Buffer<float, 2> y({3, 5}), transposed({5, 3});
  const View<float, 2> columns(transposed.view().data(), {3, 5}, {1, 3});
  for (Index t = 0; t < 3; ++t) {
    for (Index s = 0; s < 5; ++s) columns(t, s) = x.view()(t, s);
  }
  softmax(reference, x.view(), y.view());
  softmax(reference, columns, columns);
  for (Index t = 0; t < 3; ++t) {
    for (Index s = 0; s < 5; ++s) EXPECT_EQ(columns(t, s), y.view()(t, s));
  }
}

TEST(Softmax, RejectsAnOutputOfAnotherShape) {
  const auto x = random<float, 2>({3, 5}, 1);
  Buffer<float, 2> y({5, 3});
  EXPECT_THROW(softmax(reference, x.view(), y.view()), ContractError);
}

// The definition again, in double, where nothing here overflows.
Buffer<float, 2> oracle(View<const float, 2> x) {
  Buffer<float, 2> y(x.shape());
  for (Index t = 0; t < x.size(0); ++t) {
    double sum = 0;
    for (Index s = 0; s < x.size(1); ++s) sum += std::exp(double{x(t, s)});
    for (Index s = 0; s < x.size(1); ++s) {
      y.view()(t, s) = static_cast<float>(std::exp(double{x(t, s)}) / sum);
    }
  }
  return y;
}

// 256 keys are the patches of a 224-pixel picture, 276 those and a short prompt. Scores in [-1, 1)
// are at most 2 apart, and the rounding of such a difference is one float operation more.
TEST(Softmax, MatchesTheDefinition) {
  for (Index S : {1, 7, 255, 256, 257, 276}) {
    const auto x = random<float, 2>({3, S}, 1);
    Buffer<float, 2> y({3, S});
    softmax(reference, x.view(), y.view());
    EXPECT_TRUE(close(y.view(), oracle(x.view()).view(), float_sum_of(S))) << "S = " << S;
  }
}

TEST(Softmax, SumsToOne) {
  const auto x = random<float, 2>({1, 4096}, 1);
  Buffer<float, 2> y({1, 4096});
  softmax(reference, x.view(), y.view());
  double sum = 0;
  for (Index s = 0; s < 4096; ++s) sum += y.view()(0, s);
  EXPECT_NEAR(sum, 1, float_sum_of(4096).relative);
}

// ---- backward --------------------------------------------------------------------------------------

Doubles definition(const Doubles& x, std::size_t S) {
  Doubles y = x;
  for (std::size_t begin = 0; begin < x.size(); begin += S) {
    double sum = 0;
    for (std::size_t s = begin; s < begin + S; ++s) sum += y[s] = std::exp(x[s]);
    for (std::size_t s = begin; s < begin + S; ++s) y[s] /= sum;
  }
  return y;
}

// docs/tensor/softmax.md, "Backward".
TEST(SoftmaxBackward, WorkedExample) {
  const auto y = rows_of({{0.25, 0.75}}), dy = rows_of({{1, 0}});
  Buffer<float, 2> dx({1, 2});
  softmax_backward(reference, y.view(), dy.view(), dx.view());
  EXPECT_TRUE(close(dx.view(), rows_of({{0.1875, -0.1875}}).view(), kExact));
}

TEST(SoftmaxBackward, IsTheSlopeOfTheDefinition) {
  for (const Index S : {1, 2, 7, 33}) {
    const auto x = random<float, 2>({3, S}, 1);
    auto d = random<float, 2>({3, S}, 2);
    Buffer<float, 2> y({3, S}), dx({3, S});
    softmax(reference, x.view(), y.view());
    softmax_backward(reference, y.view(), d.view(), dx.view());
    const auto f = [S](const Doubles& numbers) {
      return definition(numbers, static_cast<std::size_t>(S));
    };
    EXPECT_TRUE(is_gradient(dx, gradient_of(f, doubles(x), doubles(d)), S));
    softmax_backward(reference, y.view(), d.view(), d.view());
    EXPECT_TRUE(close(d.view(), dx.view(), kExact)) << "in place";
  }
}

TEST(SoftmaxBackward, RejectsWrongShapes) {
  const auto y = random<float, 2>({3, 5}, 1), dy = random<float, 2>({3, 5}, 2);
  Buffer<float, 2> dx({3, 5}), turned({5, 3});
  EXPECT_THROW(softmax_backward(reference, y.view(), turned.view(), dx.view()), ContractError);
  EXPECT_THROW(softmax_backward(reference, y.view(), dy.view(), turned.view()), ContractError);
}

}  // namespace
}  // namespace paligemma
