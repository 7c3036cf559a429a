#include "tensor/layer_norm.h"

#include <cmath>

#include "tests/support/compare.h"
#include "tests/support/data.h"
#include "tests/support/gradients.h"

namespace paligemma {
namespace {

using namespace test;

constexpr float kEps = 1e-6f;

Buffer<float, 2> normed(const Buffer<float, 2>& x, const Buffer<float, 1>& scale,
                        const Buffer<float, 1>& bias, float eps = kEps) {
  Buffer<float, 2> y(x.view().shape());
  layer_norm(reference, x.view(), scale.view(), bias.view(), eps, y.view());
  return y;
}

// docs/tensor/layer_norm.md, "By hand".
TEST(LayerNorm, WorkedExample) {
  const auto x = rows_of({{1, 3, 3, 9}});
  const auto scale = vector_of({1, 1.5, 3, 0.6}), bias = vector_of({0, 0, 1, 0.5});
  // The third feature is -1 + 1, so its error is measured against 1.
  EXPECT_TRUE(close(normed(x, scale, bias).view(), rows_of({{-1, -0.5, 0, 1.5}}).view(),
                    float_sum_of(4, 1)));
}

// Dividing by D - 1, as for the variance of a sample, would give -0.7 and 0.7.
TEST(LayerNorm, DividesTheVarianceByD) {
  const auto y = normed(rows_of({{0, 2}}), vector_of({1, 1}), vector_of({0, 0}), 0);
  EXPECT_TRUE(close(y.view(), rows_of({{-1, 1}}).view(), kExact));
}

TEST(LayerNorm, AConstantRowBecomesTheBias) {
  const auto x = rows_of({{3, 3, 3}, {0, 0, 0}});
  const auto y = normed(x, vector_of({1, 2, 3}), vector_of({4, 5, 6}));
  EXPECT_TRUE(close(y.view(), rows_of({{4, 5, 6}, {4, 5, 6}}).view(), kExact));
}

TEST(LayerNorm, IgnoresShiftAndScaleOfItsInput) {
  const auto ones = vector_of({1, 1, 1}), zeros = vector_of({0, 0, 0});
  const auto y = normed(rows_of({{1, -2, 4}}), ones, zeros, 0);
  const auto shifted = normed(rows_of({{1001, 998, 1004}}), ones, zeros, 0);
  const auto scaled = normed(rows_of({{1024, -2048, 4096}}), ones, zeros, 0);
  EXPECT_TRUE(close(shifted.view(), y.view(), kExact));
  EXPECT_TRUE(close(scaled.view(), y.view(), kExact));
}

// Gemma's RMSNorm stores its gain minus one; a scale of zeros here leaves nothing but the bias.
TEST(LayerNorm, AScaleOfZerosLeavesTheBias) {
  const auto y = normed(rows_of({{1, -2, 4}}), vector_of({0, 0, 0}), vector_of({7, 8, 9}));
  EXPECT_TRUE(close(y.view(), rows_of({{7, 8, 9}}).view(), kExact));
}

TEST(LayerNorm, MayWriteInPlace) {
  auto x = random<float, 2>({3, 64}, 1);
  const auto scale = random<float, 1>({64}, 2), bias = random<float, 1>({64}, 3);
  const auto y = normed(x, scale, bias);
  layer_norm(reference, x.view(), scale.view(), bias.view(), kEps, x.view());
  EXPECT_TRUE(close(x.view(), y.view(), kExact));
}

// Every second number of a wider buffer.
TEST(LayerNorm, TakesStridedViews) {
  const auto wide = random<float, 2>({3, 14}, 1);
  const View<const float, 2> x(wide.view().data(), {3, 7}, {14, 2});
  Buffer<float, 2> copied({3, 7}), y({3, 7});
  copy(reference, x, copied.view());
  const auto scale = random<float, 1>({7}, 2), bias = random<float, 1>({7}, 3);
  layer_norm(reference, x, scale.view(), bias.view(), kEps, y.view());
  EXPECT_TRUE(close(y.view(), normed(copied, scale, bias).view(), kExact));
}

TEST(LayerNorm, RejectsWrongShapes) {
  const auto x = random<float, 2>({3, 64}, 1);
  const auto right = random<float, 1>({64}, 2), short_one = random<float, 1>({63}, 2);
  Buffer<float, 2> y({3, 64}), short_y({2, 64});
  const auto run = [&](const auto& scale, const auto& bias, auto& out) {
    layer_norm(reference, x.view(), scale.view(), bias.view(), kEps, out.view());
  };
  EXPECT_NO_THROW(run(right, right, y));
  EXPECT_THROW(run(short_one, right, y), ContractError);
  EXPECT_THROW(run(right, short_one, y), ContractError);
  EXPECT_THROW(run(right, right, short_y), ContractError);
}

// The definition again, in double. It shares no code with what it judges.
template <class Weight>
Buffer<float, 2> oracle(View<const float, 2> x, View<const Weight, 1> scale,
                        View<const Weight, 1> bias, double eps) {
  Buffer<float, 2> y(x.shape());
  const auto D = static_cast<double>(x.size(1));
  for (Index l = 0; l < x.size(0); ++l) {
    double mean = 0, variance = 0;
    for (Index d = 0; d < x.size(1); ++d) mean += x(l, d) / D;
    for (Index d = 0; d < x.size(1); ++d) variance += std::pow(x(l, d) - mean, 2) / D;
    const double deviation = std::sqrt(variance + eps);
    for (Index d = 0; d < x.size(1); ++d) {
      const double z = (x(l, d) - mean) / deviation;
      y.view()(l, d) = static_cast<float>(z * widen(scale(d)) + widen(bias(d)));
    }
  }
  return y;
}

template <class Weight>
class LayerNormOf : public ::testing::Test {};
using Weights = ::testing::Types<float, bf16, f16>;
TYPED_TEST_SUITE(LayerNormOf, Weights);

// 1152 is So400m, 36 the golden PaliGemma 1; the rest are the sizes that break kernels.
TYPED_TEST(LayerNormOf, MatchesTheDefinition) {
  for (Index D : {1, 7, 36, 255, 257, 1152}) {
    const auto x = random<float, 2>({3, D}, 1);
    const auto scale = random<TypeParam, 1>({D}, 2);
    const auto bias = random<TypeParam, 1>({D}, 3);
    Buffer<float, 2> y({3, D});
    layer_norm(reference, x.view(), scale.view(), bias.view(), kEps, y.view());
    const auto expected = oracle(x.view(), scale.view(), bias.view(), kEps);
    // |z scale| stays below 2 and |bias| below 1: numbers in [-1, 1) lie within two deviations.
    EXPECT_TRUE(close(y.view(), expected.view(), float_sum_of(D, 3))) << "D = " << D;
  }
}

// Quiet rows are where eps shows: its place inside the root, and its size.
TEST(LayerNorm, AddsEpsInsideTheRoot) {
  const auto x = rows_of({{1e-3, -1e-3, 2e-3}});
  const auto scale = vector_of({1, 1, 1}), bias = vector_of({0, 0, 0});
  const auto expected = oracle(x.view(), scale.view(), bias.view(), kEps);
  EXPECT_TRUE(close(normed(x, scale, bias).view(), expected.view(), float_sum_of(3, 1)));
}

// PyTorch's default of 1e-5 shrinks a row of deviation 1e-3 to less than half of what it should be.
TEST(LayerNorm, ItsEpsDecidesHowLoudAQuietRowBecomes) {
  const auto x = rows_of({{-1e-3, 1e-3}});
  const auto y = normed(x, vector_of({1, 1}), vector_of({0, 0}));
  const double z = 1 / std::sqrt(2.0);  // 1e-3 / sqrt(1e-6 + 1e-6)
  EXPECT_TRUE(close(y.view(), rows_of({{-z, z}}).view(), float_operations(8)));
}

// A row of mean 4096 and small differences, all exact in float. The mean of squares minus the
// square of the mean would lose the differences: 4096^2 has no bits left for them.
TEST(LayerNorm, KeepsItsDigitsWhenTheMeanIsLarge) {
  auto x = random<float, 2>({2, 64}, 1);
  for (Index i = 0; i < x.view().count(); ++i) {
    float& number = x.view().data()[i];
    number = 4096 + std::round(number * 16) / 16;
  }
  const auto scale = random<float, 1>({64}, 2), bias = random<float, 1>({64}, 3);
  const auto expected = oracle(x.view(), scale.view(), bias.view(), kEps);
  EXPECT_TRUE(close(normed(x, scale, bias).view(), expected.view(), float_sum_of(64, 3)));
}

// ---- backward --------------------------------------------------------------------------------------

Doubles definition(const Doubles& x, const Doubles& scale, const Doubles& bias) {
  const std::size_t D = scale.size();
  Doubles y;
  for (std::size_t begin = 0; begin < x.size(); begin += D) {
    double mean = 0, variance = 0;
    for (std::size_t d = 0; d < D; ++d) mean += x[begin + d] / static_cast<double>(D);
    for (std::size_t d = 0; d < D; ++d) {
      variance += std::pow(x[begin + d] - mean, 2) / static_cast<double>(D);
    }
    for (std::size_t d = 0; d < D; ++d) {
      y.push_back((x[begin + d] - mean) / std::sqrt(variance + double{kEps}) * scale[d] + bias[d]);
    }
  }
  return y;
}

// docs/tensor/layer_norm.md, "Backward": a change of all features alike, or along the row, changes nothing.
TEST(LayerNormBackward, WorkedExample) {
  const auto x = rows_of({{-1, 1, 1, -1}}), dy = rows_of({{4, 0, 0, 0}});
  const auto scale = vector_of({1, 1, 1, 1});
  Buffer<float, 2> dx({1, 4});
  Buffer<float, 1> dscale({4}), dbias({4});
  layer_norm_backward(reference, x.view(), scale.view(), 0, dy.view(), dx.view(), dscale.view(),
                      dbias.view());
  EXPECT_TRUE(close(dx.view(), rows_of({{2, 0, 0, -2}}).view(), kExact));
  EXPECT_TRUE(close(dscale.view(), vector_of({-4, 0, 0, 0}).view(), kExact));
  EXPECT_TRUE(close(dbias.view(), vector_of({4, 0, 0, 0}).view(), kExact));
}

TYPED_TEST(LayerNormOf, BackwardIsTheSlopeOfTheDefinition) {
  for (const Index D : {2, 7, 33}) {
    const auto x = random<float, 2>({3, D}, 1), dy = random<float, 2>({3, D}, 4);
    const auto scale = random<TypeParam, 1>({D}, 2), bias = random<TypeParam, 1>({D}, 3);
    auto dx = random<float, 2>({3, D}, 5);
    auto dscale = random<float, 1>({D}, 6), dbias = random<float, 1>({D}, 7);
    const Doubles numbers[] = {doubles(x), doubles(scale), doubles(bias)};
    const auto slope = [&](int input) {
      const auto y = [&](const Doubles& changed) {
        return definition(input == 0 ? changed : numbers[0], input == 1 ? changed : numbers[1],
                          input == 2 ? changed : numbers[2]);
      };
      return gradient_of(y, numbers[input], doubles(dy));
    };
    const Doubles expected_dx = doubles(dx) + slope(0),
                  expected_dscale = doubles(dscale) + slope(1),
                  expected_dbias = doubles(dbias) + slope(2);
    layer_norm_backward(reference, x.view(), scale.view(), kEps, dy.view(), dx.view(),
                        dscale.view(), dbias.view());
    // Two features of a row may be close together: then the standard deviation is small.
    EXPECT_TRUE(is_gradient(dx, expected_dx, 4 * D)) << "D = " << D;
    EXPECT_TRUE(is_gradient(dscale, expected_dscale, D)) << "D = " << D;
    EXPECT_TRUE(is_gradient(dbias, expected_dbias, 3)) << "D = " << D;

    auto dx_alone = random<float, 2>({3, D}, 5);
    layer_norm_backward(reference, x.view(), scale.view(), kEps, dy.view(), dx_alone.view(), {},
                        {});
    EXPECT_TRUE(close(dx_alone.view(), dx.view(), kExact));
  }
}

TEST(LayerNormBackward, RejectsWrongShapes) {
  const auto x = random<float, 2>({3, 4}, 1), dy = random<float, 2>({3, 4}, 2);
  const auto scale = random<float, 1>({4}, 3);
  Buffer<float, 2> dx({3, 4}), turned({4, 3});
  Buffer<float, 1> four({4}), three({3});
  const auto run = [&](View<const float, 1> scale_, View<const float, 2> dy_, View<float, 2> dx_,
                       View<float, 1> dscale, View<float, 1> dbias) {
    layer_norm_backward(reference, x.view(), scale_, kEps, dy_, dx_, dscale, dbias);
  };
  EXPECT_NO_THROW(run(scale.view(), dy.view(), dx.view(), four.view(), four.view()));
  EXPECT_THROW(run(three.view(), dy.view(), dx.view(), {}, {}), ContractError);
  EXPECT_THROW(run(scale.view(), turned.view(), dx.view(), {}, {}), ContractError);
  EXPECT_THROW(run(scale.view(), dy.view(), turned.view(), {}, {}), ContractError);
  EXPECT_THROW(run(scale.view(), dy.view(), dx.view(), three.view(), {}), ContractError);
  EXPECT_THROW(run(scale.view(), dy.view(), dx.view(), {}, three.view()), ContractError);
}

}  // namespace
}  // namespace paligemma
