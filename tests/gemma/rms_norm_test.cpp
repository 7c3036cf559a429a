#include "gemma/rms_norm.h"

#include "tests/support/compare.h"
#include "tests/support/data.h"
#include "tests/support/gradients.h"

namespace paligemma {
namespace {

using namespace test;

constexpr RmsNormRule kRule{1e-6f, 1};

// docs/gemma/rms_norm.md, "By hand".
TEST(RmsNorm, WorkedExample) {
  const auto x = rows_of({{1, 7}});
  const auto scale = vector_of({0, 0.5});
  Buffer<float, 2> y({1, 2});
  rms_norm(reference, x.view(), scale.view(), kRule, y.view());
  EXPECT_TRUE(close(y.view(), rows_of({{0.2, 2.1}}).view(), float_sum_of(2)));
}

// The same row where a checkpoint stores the whole gain.
TEST(RmsNorm, WithoutAnOffsetTheGainIsWhole) {
  const auto x = rows_of({{1, 7}});
  const auto scale = vector_of({1, 1.5});
  Buffer<float, 2> y({1, 2});
  rms_norm(reference, x.view(), scale.view(), {1e-6f, 0}, y.view());
  EXPECT_TRUE(close(y.view(), rows_of({{0.2, 2.1}}).view(), float_sum_of(2)));
}

// google-deepmind/gemma, gm/nn/_layers_test.py, test_rmsnorm.
TEST(RmsNorm, MatchesGemmasOwnTest) {
  const auto x = rows_of({{0.1, 0.2}});
  const auto scale = vector_of({0, 0});
  Buffer<float, 2> y({1, 2});
  rms_norm(reference, x.view(), scale.view(), kRule, y.view());
  EXPECT_TRUE(close(y.view(), rows_of({{0.6324429, 1.2648858}}).view(), float_sum_of(2)));
}

TEST(RmsNorm, ZeroRowStaysZero) {
  const auto x = rows_of({{0, 0, 0}});
  const auto scale = vector_of({1, 2, 3});
  Buffer<float, 2> y({1, 3});
  rms_norm(reference, x.view(), scale.view(), kRule, y.view());
  EXPECT_TRUE(close(y.view(), x.view(), kExact));
}

TEST(RmsNorm, IgnoresTheScaleOfItsInput) {
  const auto x = rows_of({{1, -2, 3}});
  const auto x_times_1024 = rows_of({{1024, -2048, 3072}});
  const auto scale = vector_of({0, 0, 0});
  Buffer<float, 2> y({1, 3}), y_1024({1, 3});
  rms_norm(reference, x.view(), scale.view(), {0, 1}, y.view());
  rms_norm(reference, x_times_1024.view(), scale.view(), {0, 1}, y_1024.view());
  EXPECT_TRUE(close(y.view(), y_1024.view(), kExact));
}

TEST(RmsNorm, MayWriteInPlace) {
  auto x = random<float, 2>({3, 64}, 1);
  const auto scale = random<float, 1>({64}, 2);
  Buffer<float, 2> y({3, 64});
  rms_norm(reference, x.view(), scale.view(), kRule, y.view());
  rms_norm(reference, x.view(), scale.view(), kRule, x.view());
  EXPECT_TRUE(close(x.view(), y.view(), kExact));
}

TEST(RmsNorm, RejectsWrongShapes) {
  const auto x = random<float, 2>({3, 64}, 1);
  const auto scale = random<float, 1>({64}, 2), short_scale = random<float, 1>({63}, 2);
  Buffer<float, 2> y({3, 64}), short_y({2, 64});
  EXPECT_THROW(rms_norm(reference, x.view(), short_scale.view(), kRule, y.view()), ContractError);
  EXPECT_THROW(rms_norm(reference, x.view(), scale.view(), kRule, short_y.view()), ContractError);
}

// The definition again, in double. It shares no code with what it judges.
template <class Weight>
Buffer<float, 2> oracle(View<const float, 2> x, View<const Weight, 1> scale, RmsNormRule rule) {
  Buffer<float, 2> y(x.shape());
  for (Index t = 0; t < x.size(0); ++t) {
    double sum_sq = 0;
    for (Index d = 0; d < x.size(1); ++d) sum_sq += std::pow(x(t, d), 2);
    const double rms = std::sqrt(sum_sq / static_cast<double>(x.size(1)) + rule.eps);
    for (Index d = 0; d < x.size(1); ++d) {
      y.view()(t, d) =
          static_cast<float>(x(t, d) / rms * (rule.offset + static_cast<double>(widen(scale(d)))));
    }
  }
  return y;
}

template <class Weight>
class RmsNormOf : public ::testing::Test {};
using Weights = ::testing::Types<float, bf16, f16>;
TYPED_TEST_SUITE(RmsNormOf, Weights);

// 2048 is Gemma 2B; 1152 is SigLIP; the rest are the sizes that break kernels.
TYPED_TEST(RmsNormOf, MatchesTheDefinition) {
  for (Index D : {1, 7, 255, 257, 1152, 2048}) {
    const auto x = random<float, 2>({3, D}, 1);
    const auto scale = random<TypeParam, 1>({D}, 2);
    for (const RmsNormRule rule : {kRule, {1e-6f, 0}}) {
      Buffer<float, 2> y({3, D});
      rms_norm(reference, x.view(), scale.view(), rule, y.view());
      const auto expected = oracle(x.view(), scale.view(), rule);
      EXPECT_TRUE(close(y.view(), expected.view(), float_sum_of(D)))
          << "D = " << D << ", offset " << rule.offset;
    }
  }
}

// Small rows are where eps shows: its place inside the root, and its size.
TEST(RmsNorm, AddsEpsInsideTheRoot) {
  const auto x = rows_of({{1e-3, -1e-3, 2e-3}});
  const auto scale = vector_of({0, 0, 0});
  Buffer<float, 2> y({1, 3});
  rms_norm(reference, x.view(), scale.view(), kRule, y.view());
  const auto expected = oracle(x.view(), scale.view(), kRule);
  EXPECT_TRUE(close(y.view(), expected.view(), float_sum_of(3)));
}

// ---- backward --------------------------------------------------------------------------------------

Doubles definition(const Doubles& x, const Doubles& scale, RmsNormRule rule) {
  const std::size_t D = scale.size();
  Doubles y;
  for (std::size_t begin = 0; begin < x.size(); begin += D) {
    double mean_sq = 0;
    for (std::size_t d = 0; d < D; ++d)
      mean_sq += std::pow(x[begin + d], 2) / static_cast<double>(D);
    for (std::size_t d = 0; d < D; ++d) {
      y.push_back(x[begin + d] / std::sqrt(mean_sq + double{rule.eps}) * (rule.offset + scale[d]));
    }
  }
  return y;
}

// docs/gemma/rms_norm.md, "Backward".
TEST(RmsNormBackward, WorkedExample) {
  const auto x = rows_of({{1, 7}}), dy = rows_of({{5, 0}});
  const auto scale = vector_of({0, 0.5});
  Buffer<float, 2> dx({1, 2});
  Buffer<float, 1> dscale({2});
  rms_norm_backward(reference, x.view(), scale.view(), {0, 1}, dy.view(), dx.view(), dscale.view());
  EXPECT_TRUE(close(dx.view(), rows_of({{0.98, -0.14}}).view(), float_operations(8)));
  EXPECT_TRUE(close(dscale.view(), vector_of({1, 0}).view(), float_operations(4)));
}

TYPED_TEST(RmsNormOf, BackwardIsTheSlopeOfTheDefinition) {
  for (const Index D : {1, 7, 33}) {
    for (const RmsNormRule rule : {RmsNormRule{1e-3f, 1}, RmsNormRule{1e-6f, 0}}) {
      const auto x = random<float, 2>({3, D}, 1), dy = random<float, 2>({3, D}, 3);
      const auto scale = random<TypeParam, 1>({D}, 2);
      auto dx = random<float, 2>({3, D}, 4);
      auto dscale = random<float, 1>({D}, 5);
      const Doubles of_x = doubles(x), of_scale = doubles(scale);
      const Doubles expected_dx =
          doubles(dx) +
          gradient_of([&](const Doubles& changed) { return definition(changed, of_scale, rule); },
                      of_x, doubles(dy));
      const Doubles expected_dscale =
          doubles(dscale) +
          gradient_of([&](const Doubles& changed) { return definition(of_x, changed, rule); },
                      of_scale, doubles(dy));
      rms_norm_backward(reference, x.view(), scale.view(), rule, dy.view(), dx.view(),
                        dscale.view());
      EXPECT_TRUE(is_gradient(dx, expected_dx, 4 * D)) << "D = " << D;
      EXPECT_TRUE(is_gradient(dscale, expected_dscale, 3)) << "D = " << D;

      auto dx_alone = random<float, 2>({3, D}, 4);
      rms_norm_backward(reference, x.view(), scale.view(), rule, dy.view(), dx_alone.view(), {});
      EXPECT_TRUE(close(dx_alone.view(), dx.view(), kExact));
    }
  }
}

TEST(RmsNormBackward, RejectsWrongShapes) {
  const auto x = random<float, 2>({3, 4}, 1), dy = random<float, 2>({3, 4}, 2);
  const auto scale = random<float, 1>({4}, 3);
  Buffer<float, 2> dx({3, 4}), turned({4, 3});
  Buffer<float, 1> four({4}), three({3});
  const auto run = [&](View<const float, 1> scale_, View<const float, 2> dy_, View<float, 2> dx_,
                       View<float, 1> dscale) {
    rms_norm_backward(reference, x.view(), scale_, kRule, dy_, dx_, dscale);
  };
  EXPECT_NO_THROW(run(scale.view(), dy.view(), dx.view(), four.view()));
  EXPECT_THROW(run(three.view(), dy.view(), dx.view(), {}), ContractError);
  EXPECT_THROW(run(scale.view(), turned.view(), dx.view(), {}), ContractError);
  EXPECT_THROW(run(scale.view(), dy.view(), turned.view(), {}), ContractError);
  EXPECT_THROW(run(scale.view(), dy.view(), dx.view(), three.view()), ContractError);
}

}  // namespace
}  // namespace paligemma
