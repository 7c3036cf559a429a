#include "fast/tensor/layer_norm.h"

#include <cmath>

#include "tests/support/compare.h"
#include "tests/support/data.h"

namespace paligemma {
namespace {

using namespace test;

const Fast fast({.threads = 2});

constexpr float kEps = 1e-6f;

// |z scale| stays below 2 and |bias| below 1: numbers in [-1, 1) lie within two deviations.
Tolerance tolerance(Index D) { return twice(float_sum_of(D, 3)); }

template <class Weight>
class FastLayerNormOf : public ::testing::Test {};
using Weights = ::testing::Types<float, bf16, f16>;
TYPED_TEST_SUITE(FastLayerNormOf, Weights);

// 13 rows of 4304 keep several threads busy.
TYPED_TEST(FastLayerNormOf, MatchesReference) {
  for (Index L : {1, 2, 5, 13}) {
    for (Index D : {1, 3, 72, 255, 1152, 4304}) {
      const auto x = random<float, 2>({L, D}, 1);
      const auto scale = random<TypeParam, 1>({D}, 2), bias = random<TypeParam, 1>({D}, 3);
      Buffer<float, 2> expected({L, D}), y({L, D});
      layer_norm(reference, x.view(), scale.view(), bias.view(), kEps, expected.view());
      layer_norm(fast, x.view(), scale.view(), bias.view(), kEps, y.view());
      EXPECT_TRUE(close(y.view(), expected.view(), tolerance(D))) << "L = " << L << ", D = " << D;
    }
  }
}

class FastLayerNorm : public ::testing::Test {
 protected:
  static Buffer<float, 2> normed(View<const float, 2> x, float eps = kEps) {
    const auto scale = random<float, 1>({x.size(1)}, 2), bias = random<float, 1>({x.size(1)}, 3);
    Buffer<float, 2> y(x.shape());
    layer_norm(fast, x, scale.view(), bias.view(), eps, y.view());
    return y;
  }
  static Buffer<float, 2> normed_by_reference(View<const float, 2> x, float eps = kEps) {
    const auto scale = random<float, 1>({x.size(1)}, 2), bias = random<float, 1>({x.size(1)}, 3);
    Buffer<float, 2> y(x.shape());
    layer_norm(reference, x, scale.view(), bias.view(), eps, y.view());
    return y;
  }
};

// Each row has a mean and a deviation of its own: another row's would show.
TEST_F(FastLayerNorm, TakesEachRowByItself) {
  constexpr Index L = 13, D = 1152;
  auto x = random<float, 2>({L, D}, 1);
  for (Index l = 0; l < L; ++l) {
    for (Index d = 0; d < D; ++d) (x.view()(l, d) *= static_cast<float>(l)) += 1;
  }
  const auto together = normed(x.view());
  for (Index l = 0; l < L; ++l) {
    const auto alone = normed(x.view().rows(l, l + 1));
    EXPECT_TRUE(close(alone.view(), together.view().rows(l, l + 1), kExact)) << "l = " << l;
  }
}

// Rows of mean 4096 and small differences, all exact in float. The mean of squares minus the square
// of the mean would lose the differences.
TEST_F(FastLayerNorm, KeepsItsDigitsWhenTheMeanIsLarge) {
  auto x = random<float, 2>({2, 72}, 1);
  for (Index i = 0; i < x.view().count(); ++i) {
    float& number = x.view().data()[i];
    number = 4096 + std::round(number * 16) / 16;
  }
  EXPECT_TRUE(close(normed(x.view()).view(), normed_by_reference(x.view()).view(), tolerance(72)));
}

// Quiet rows are where eps shows.
TEST_F(FastLayerNorm, AddsEpsInsideTheRoot) {
  auto x = random<float, 2>({2, 72}, 1);
  for (Index i = 0; i < x.view().count(); ++i) x.view().data()[i] *= 1e-3f;
  for (float eps : {0.0f, kEps, 1e-5f}) {
    EXPECT_TRUE(close(normed(x.view(), eps).view(), normed_by_reference(x.view(), eps).view(),
                      tolerance(72)))
        << "eps = " << eps;
  }
}

TEST_F(FastLayerNorm, AConstantRowBecomesTheBias) {
  Buffer<float, 2> x({2, 72});
  for (Index d = 0; d < 72; ++d) x.view()(1, d) = 3;
  const auto y = normed(x.view());
  const auto bias = random<float, 1>({72}, 3);
  for (Index l = 0; l < 2; ++l) EXPECT_TRUE(close(y.view().row(l), bias.view(), kExact));
}

TEST_F(FastLayerNorm, MayWriteInPlace) {
  for (Index D : {3, 72, 1152}) {
    auto x = random<float, 2>({13, D}, 1);
    const auto scale = random<float, 1>({D}, 2), bias = random<float, 1>({D}, 3);
    const auto y = normed(x.view());
    layer_norm(fast, x.view(), scale.view(), bias.view(), kEps, x.view());
    EXPECT_TRUE(close(x.view(), y.view(), kExact)) << "D = " << D;
  }
}

// Rows that are part of wider ones, and begin where no register would like to.
TEST_F(FastLayerNorm, TakesWindows) {
  for (Index D : {1, 3, 72}) {
    const auto wide_x = random<float, 2>({5, D + 2}, 1);
    const View<const float, 2> x(&wide_x.view()(0, 1), {5, D}, {D + 2, 1});
    const auto scale = random<float, 1>({D}, 2), bias = random<float, 1>({D}, 3);
    const auto expected = normed_by_reference(x);
    Buffer<float, 2> wide_expected({5, D + 3}), wide_y({5, D + 3});
    const auto window = [&](Buffer<float, 2>& wide) {
      return View<float, 2>(&wide.view()(0, 1), {5, D}, {D + 3, 1});
    };
    copy(reference, expected.view(), window(wide_expected));
    layer_norm(fast, x, scale.view(), bias.view(), kEps, window(wide_y));
    EXPECT_TRUE(close(wide_y.view(), wide_expected.view(), tolerance(D))) << "D = " << D;
  }
}

TEST_F(FastLayerNorm, TakesNoPatches) { EXPECT_NO_THROW(normed(Buffer<float, 2>({0, 7}).view())); }

TEST_F(FastLayerNorm, RejectsWrongShapes) {
  const Buffer<float, 2> x({3, 64}), wide({3, 128});
  const Buffer<float, 1> right({64}), short_one({63});
  Buffer<float, 2> y({3, 64}), short_y({2, 64});
  const auto run = [](View<const float, 2> from, const auto& scale, const auto& bias, auto& to) {
    layer_norm(fast, from, scale.view(), bias.view(), kEps, to.view());
  };
  EXPECT_THROW(run(x.view(), short_one, right, y), ContractError);
  EXPECT_THROW(run(x.view(), right, short_one, y), ContractError);
  EXPECT_THROW(run(x.view(), right, right, short_y), ContractError);
  EXPECT_THROW(run({wide.view().data(), {3, 64}, {128, 2}}, right, right, y), ContractError);
}

}  // namespace
}  // namespace paligemma
