#include "fast/gemma/rms_norm.h"

#include <cmath>
#include <utility>

#include "tests/support/compare.h"
#include "tests/support/data.h"

namespace paligemma {
namespace {

using namespace test;

const Fast fast({.threads = 2});

constexpr RmsNormRule kRule{1e-6f, 1};

template <class Weight>
class FastRmsNormOf : public ::testing::Test {};
using Weights = ::testing::Types<float, bf16, f16>;
TYPED_TEST_SUITE(FastRmsNormOf, Weights);

// 13 rows of 4304 keep several threads busy.
TYPED_TEST(FastRmsNormOf, MatchesReference) {
  for (Index T : {1, 2, 5, 13}) {
    for (Index D : {1, 3, 72, 255, 1152, 4304}) {
      const auto x = random<float, 2>({T, D}, 1);
      const auto scale = random<TypeParam, 1>({D}, 2);
      for (const RmsNormRule rule : {kRule, {1e-6f, 0}}) {
        Buffer<float, 2> expected({T, D}), y({T, D});
        rms_norm(reference, x.view(), scale.view(), rule, expected.view());
        rms_norm(fast, x.view(), scale.view(), rule, y.view());
        EXPECT_TRUE(close(y.view(), expected.view(), twice(float_sum_of(D))))
            << "T = " << T << ", D = " << D << ", offset " << rule.offset;
      }
    }
  }
}

// Each row has a size of its own: another row's sum would show.
TEST(FastRmsNorm, TakesEachRowByItself) {
  constexpr Index T = 13, D = 1152;
  auto x = random<float, 2>({T, D}, 1);
  for (Index t = 0; t < T; ++t) {
    for (Index d = 0; d < D; ++d) x.view()(t, d) *= std::exp2(static_cast<float>(t));
  }
  const auto scale = random<float, 1>({D}, 2);
  Buffer<float, 2> together({T, D}), alone({1, D});
  rms_norm(fast, std::as_const(x).view(), scale.view(), kRule, together.view());
  for (Index t = 0; t < T; ++t) {
    rms_norm(fast, std::as_const(x).view().rows(t, t + 1), scale.view(), kRule, alone.view());
    EXPECT_TRUE(close(alone.view(), together.view().rows(t, t + 1), kExact)) << "t = " << t;
  }
}

// Small rows are where eps shows.
TEST(FastRmsNorm, AddsEpsInsideTheRoot) {
  auto x = random<float, 2>({2, 72}, 1);
  for (Index i = 0; i < x.view().count(); ++i) x.view().data()[i] *= 1e-3f;
  const auto scale = random<float, 1>({72}, 2);
  Buffer<float, 2> expected({2, 72}), y({2, 72});
  for (float eps : {0.0f, 1e-6f, 1e-5f}) {
    rms_norm(reference, std::as_const(x).view(), scale.view(), {eps, 1}, expected.view());
    rms_norm(fast, std::as_const(x).view(), scale.view(), {eps, 1}, y.view());
    EXPECT_TRUE(close(y.view(), expected.view(), twice(float_sum_of(72)))) << "eps = " << eps;
  }
}

TEST(FastRmsNorm, ZeroRowStaysZero) {
  const Buffer<float, 2> x({2, 72});
  const auto scale = random<float, 1>({72}, 2);
  auto y = random<float, 2>({2, 72}, 3);
  rms_norm(fast, x.view(), scale.view(), kRule, y.view());
  EXPECT_TRUE(close(y.view(), x.view(), kExact));
}

TEST(FastRmsNorm, MayWriteInPlace) {
  for (Index D : {3, 72, 1152}) {
    auto x = random<float, 2>({13, D}, 1);
    const auto scale = random<float, 1>({D}, 2);
    Buffer<float, 2> y({13, D});
    rms_norm(fast, std::as_const(x).view(), scale.view(), kRule, y.view());
    rms_norm(fast, std::as_const(x).view(), scale.view(), kRule, x.view());
    EXPECT_TRUE(close(x.view(), y.view(), kExact)) << "D = " << D;
  }
}

// Rows that are part of wider ones, and begin where no register would like to.
TEST(FastRmsNorm, TakesWindows) {
  for (Index D : {1, 3, 72}) {
    const auto wide_x = random<float, 2>({5, D + 2}, 1);
    const auto scale = random<float, 1>({D + 1}, 2);
    Buffer<float, 2> wide_expected({5, D + 3}), wide_y({5, D + 3});
    const View<const float, 2> x(&wide_x.view()(0, 1), {5, D}, {D + 2, 1});
    const View<const float, 1> gain(&scale.view()(1), {D});
    const View<float, 2> expected(&wide_expected.view()(0, 1), {5, D}, {D + 3, 1});
    rms_norm(reference, x, gain, kRule, expected);
    rms_norm(fast, x, gain, kRule, View<float, 2>(&wide_y.view()(0, 1), {5, D}, {D + 3, 1}));
    EXPECT_TRUE(close(wide_y.view(), wide_expected.view(), twice(float_sum_of(D)))) << "D = " << D;
  }
}

TEST(FastRmsNorm, TakesNoTokens) {
  const Buffer<float, 2> x({0, 7});
  const Buffer<float, 1> scale({7});
  Buffer<float, 2> y({0, 7});
  EXPECT_NO_THROW(rms_norm(fast, x.view(), scale.view(), kRule, y.view()));
}

TEST(FastRmsNorm, RejectsWrongShapes) {
  const Buffer<float, 2> x({3, 64}), wide({3, 128});
  const Buffer<float, 1> scale({64}), short_scale({63});
  Buffer<float, 2> y({3, 64}), short_y({2, 64});
  const View<const float, 2> every_second(wide.view().data(), {3, 64}, {128, 2});
  EXPECT_THROW(rms_norm(fast, x.view(), short_scale.view(), kRule, y.view()), ContractError);
  EXPECT_THROW(rms_norm(fast, x.view(), scale.view(), kRule, short_y.view()), ContractError);
  EXPECT_THROW(rms_norm(fast, every_second, scale.view(), kRule, y.view()), ContractError);
}

}  // namespace
}  // namespace paligemma
