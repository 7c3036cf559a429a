#include "train/cross_entropy.h"

#include <cmath>
#include <vector>

#include "tests/support/compare.h"
#include "tests/support/data.h"
#include "tests/support/gradients.h"

namespace paligemma {
namespace {

using namespace test;

struct Rows {
  Buffer<float, 2> logits;
  std::vector<TokenId> targets;
  std::vector<float> weights;

  View<const TokenId, 1> targets_view() const {
    return {targets.data(), {static_cast<Index>(targets.size())}};
  }
  View<const float, 1> weights_view() const {
    return {weights.data(), {static_cast<Index>(weights.size())}};
  }
};

struct Result {
  Buffer<float, 1> losses;
  Buffer<float, 2> dlogits;
};

Result result(const Rows& rows, const Aim& aim) {
  const auto logits = rows.logits.view();
  Result y{Buffer<float, 1>({logits.size(0)}), Buffer<float, 2>(logits.shape())};
  cross_entropy(reference, logits, rows.targets_view(), rows.weights_view(), aim, y.losses.view(),
                y.dlogits.view());
  return y;
}

// Four rows, whose targets are the first, the last and two between; one of them does not count.
Rows four_rows(Index V) {
  const auto of = [](Index v) { return static_cast<TokenId>(v); };
  return {random<float, 2>({4, V}, 1), {0, of(V - 1), of(V / 2), of(V / 3)}, {1, 0.25f, 0, 2}};
}

// docs/train/cross_entropy.md, "By hand".
TEST(CrossEntropy, WorkedExample) {
  const Rows rows{rows_of({{0, std::log(3)}}), {0}, {1}};
  const Result plain = result(rows, {}), smooth = result(rows, {0.5f});
  const Tolerance tolerance = float_sum_of(2, std::log(4));
  EXPECT_TRUE(close(plain.losses.view(), vector_of({std::log(4)}).view(), tolerance));
  EXPECT_TRUE(close(plain.dlogits.view(), rows_of({{-0.75, 0.75}}).view(), tolerance));
  EXPECT_TRUE(
      close(smooth.losses.view(), vector_of({std::log(4) - std::log(3) / 4}).view(), tolerance));
  EXPECT_TRUE(close(smooth.dlogits.view(), rows_of({{-0.5, 0.5}}).view(), tolerance));
}

// The same page: tokens 0 and 1 are numbers, of which the right one's neighbour counts half; token 2 is a word.
TEST(CrossEntropy, AScaleByHand) {
  const auto half = static_cast<float>(1 / std::sqrt(2 * std::log(2)));
  const Scale scale{0, 2, half};
  const Rows rows{rows_of({{0, std::log(2), 0}, {0, std::log(2), 0}}), {0, 2}, {1, 1}};
  const Result y = result(rows, {0, scale});
  const Tolerance tolerance = float_sum_of(3, std::log(4));
  const auto losses = vector_of({std::log(4) - std::log(2) / 3, std::log(4)});
  const auto dlogits = rows_of({{-5.0 / 12, 1.0 / 6, 0.25}, {0.25, 0.5, -0.75}});
  EXPECT_TRUE(close(y.losses.view(), losses.view(), tolerance));
  EXPECT_TRUE(close(y.dlogits.view(), dlogits.view(), tolerance));
}

// The equations again, in double: near of each token, and a loss for each row.
Doubles definition_of_near(std::size_t V, TokenId target, const Scale& scale) {
  Doubles near(V, 0.0);
  near[static_cast<std::size_t>(target)] = 1;
  if (scale.width <= 0 || target < scale.first || target >= scale.last) return near;
  double sum = 0;
  for (TokenId v = scale.first; v < scale.last; ++v) {
    near[static_cast<std::size_t>(v)] =
        std::exp(-std::pow((v - target) / double{scale.width}, 2) / 2);
    sum += near[static_cast<std::size_t>(v)];
  }
  for (double& share : near) share /= sum;
  return near;
}
Doubles definition(const Doubles& logits, const Rows& rows, double smoothing,
                   const Scale& scale = {}) {
  const std::size_t B = rows.targets.size(), V = logits.size() / B;
  Doubles losses;
  for (std::size_t b = 0; b < B; ++b) {
    const Doubles near = definition_of_near(V, rows.targets[b], scale);
    double sum = 0, loss = 0;
    for (std::size_t v = 0; v < V; ++v) sum += std::exp(logits[b * V + v]);
    for (std::size_t v = 0; v < V; ++v) {
      const double aim = (1 - smoothing) * near[v] + smoothing / static_cast<double>(V);
      loss -= aim * std::log(std::exp(logits[b * V + v]) / sum);
    }
    losses.push_back(double{rows.weights[b]} * loss);
  }
  return losses;
}

TEST(CrossEntropy, IsTheDefinitionAndItsSlope) {
  for (const Index V : {1, 7, 33, 257}) {
    for (const float smoothing : {0.0f, 0.1f}) {
      const Rows rows = four_rows(V);
      const auto f = [&](const Doubles& x) { return definition(x, rows, double{smoothing}); };
      const Doubles logits = doubles(rows.logits);
      const Result y = result(rows, {smoothing});
      EXPECT_TRUE(is_gradient(y.losses, f(logits), V)) << "V = " << V;
      EXPECT_TRUE(is_gradient(y.dlogits, gradient_of(f, logits, {1, 1, 1, 1}), V)) << "V = " << V;
    }
  }
}

// On a part of the vocabulary, whose first token is the last row's target, and the second's stands behind it; on all.
TEST(CrossEntropy, IsTheDefinitionAndItsSlopeOnAScale) {
  for (const Index V : {7, 33}) {
    const auto first = static_cast<TokenId>(V / 3), end = static_cast<TokenId>(V);
    for (const float width : {0.3f, 2.0f, 1000.0f}) {
      for (const Scale& scale : {Scale{first, end - 1, width}, Scale{0, end, width}}) {
        for (const float smoothing : {0.0f, 0.1f}) {
          SCOPED_TRACE(::testing::Message() << "V " << V << ", width " << width << ", first "
                                            << scale.first << ", smoothing " << smoothing);
          const Rows rows = four_rows(V);
          const auto f = [&](const Doubles& x) {
            return definition(x, rows, double{smoothing}, scale);
          };
          const Doubles logits = doubles(rows.logits);
          const Result y = result(rows, {smoothing, scale});
          EXPECT_TRUE(is_gradient(y.losses, f(logits), V));
          EXPECT_TRUE(is_gradient(y.dlogits, gradient_of(f, logits, {1, 1, 1, 1}), V));
        }
      }
    }
  }
}

// A narrow scale has the target alone, a wide one all tokens alike; between them it falls on both sides.
TEST(CrossEntropy, AScaleIsAsWideAsItIsTold) {
  const std::vector<float> narrow = near_on({10, 15, 0.01f}, 12),
                           wide = near_on({10, 15, 1e6f}, 12);
  EXPECT_EQ(narrow, (std::vector<float>{0, 0, 1, 0, 0}));
  ASSERT_EQ(wide.size(), 5u);
  for (const float share : wide) EXPECT_FLOAT_EQ(share, 0.2f);
  const std::vector<float> near = near_on({10, 15, 1.5f}, 12), edge = near_on({10, 15, 1.5f}, 10);
  EXPECT_EQ(near[1], near[3]);
  EXPECT_EQ(near[0], near[4]);
  EXPECT_NEAR(double{near[2] / near[3]}, std::exp(1 / 4.5), 1e-6);
  for (std::size_t i = 1; i < 5; ++i) EXPECT_LT(edge[i], edge[i - 1]);
}

// Nor is it one for a target that is not on it.
TEST(CrossEntropy, AScaleWithoutAWidthIsNone) {
  const Rows rows = four_rows(33);
  const Result plain = result(rows, {0.1f});
  for (const Scale& scale : {Scale{0, 33, 0}, Scale{0, 33, -1}, Scale{5, 5, 3}, Scale{1, 11, 3}}) {
    const Result y = result(rows, {0.1f, scale});
    EXPECT_TRUE(close(y.losses.view(), plain.losses.view(), kExact));
    EXPECT_TRUE(close(y.dlogits.view(), plain.dlogits.view(), kExact));
  }
}

TEST(CrossEntropy, MayWriteInPlace) {
  for (const Scale& scale : {Scale{}, Scale{5, 20, 2}}) {
    Rows rows = four_rows(33);
    const Result y = result(rows, {0.1f, scale});
    Buffer<float, 1> losses({4});
    const auto logits = rows.logits.view();
    cross_entropy(reference, logits, rows.targets_view(), rows.weights_view(), {0.1f, scale},
                  losses.view(), logits);
    EXPECT_TRUE(close(losses.view(), y.losses.view(), kExact));
    EXPECT_TRUE(close(logits, y.dlogits.view(), kExact));
  }
}

// exp(1e4) is no number of any kind. The last row's log-sum-exp is rounded where it stands, near 1e4.
TEST(CrossEntropy, DoesNotOverflow) {
  const Rows rows{rows_of({{1e4, -1e4}, {1e4, -1e4}, {-1e4, -1e4}}), {0, 1, 0}, {1, 1, 1}};
  const Result y = result(rows, {});
  const auto losses = vector_of({0, 2e4, std::log(2)});
  const auto dlogits = rows_of({{0, 0}, {1, -1}, {-0.5, 0.5}});
  EXPECT_TRUE(close(y.losses.view(), losses.view(), float_sum_of(2, 1e4)));
  EXPECT_TRUE(close(y.dlogits.view(), dlogits.view(), float_sum_of(2, 1e4)));
}

TEST(CrossEntropy, AWeightScalesLossAndGradient) {
  Rows rows = four_rows(33);
  rows.weights = {1, 1, 1, 1};
  const Result whole = result(rows, {0.1f, {5, 20, 2}});
  rows.weights = {0.5f, 2, 0, 1};  // powers of two: nothing is rounded
  const Result y = result(rows, {0.1f, {5, 20, 2}});
  for (Index b = 0; b < 4; ++b) {
    const float weight = rows.weights[static_cast<std::size_t>(b)];
    EXPECT_EQ(y.losses.view()(b), weight * whole.losses.view()(b));
    for (Index v = 0; v < 33; ++v) {
      EXPECT_EQ(y.dlogits.view()(b, v), weight * whole.dlogits.view()(b, v));
    }
  }
}

// What makes one token likelier makes the others less likely.
TEST(CrossEntropy, GradientsOfARowSumToZero) {
  for (const Index V : {1, 7, 33, 257}) {
    const Rows rows = four_rows(V);
    const Result y = result(rows, {0.1f});
    for (Index b = 0; b < 4; ++b) {
      double sum = 0;
      for (Index v = 0; v < V; ++v) sum += y.dlogits.view()(b, v);
      const double weight = rows.weights[static_cast<std::size_t>(b)];
      EXPECT_NEAR(sum, 0, float_sum_of(V, weight).absolute) << "V = " << V << ", row " << b;
    }
  }
}

TEST(CrossEntropy, RejectsWrongShapesTargetsAndSmoothings) {
  const auto logits = random<float, 2>({4, 7}, 1);
  const std::vector<TokenId> good{0, 6, 3, 2}, three{0, 6, 3}, negative{0, 6, -1, 2},
      too_large{0, 6, 7, 2};
  const auto weights = random<float, 1>({4}, 2), weights3 = random<float, 1>({3}, 2);
  Buffer<float, 1> losses({4}), losses3({3});
  Buffer<float, 2> dlogits({4, 7}), fewer({3, 7}), wider({4, 8});
  const auto run = [&](const std::vector<TokenId>& targets, const Buffer<float, 1>& weights_,
                       float smoothing, Buffer<float, 1>& losses_, Buffer<float, 2>& dlogits_) {
    cross_entropy(reference, logits.view(), {targets.data(), {static_cast<Index>(targets.size())}},
                  weights_.view(), {smoothing}, losses_.view(), dlogits_.view());
  };
  EXPECT_NO_THROW(run(good, weights, 0, losses, dlogits));
  EXPECT_THROW(run(three, weights, 0, losses, dlogits), ContractError);
  EXPECT_THROW(run(good, weights3, 0, losses, dlogits), ContractError);
  EXPECT_THROW(run(good, weights, 0, losses3, dlogits), ContractError);
  EXPECT_THROW(run(good, weights, 0, losses, fewer), ContractError);
  EXPECT_THROW(run(good, weights, 0, losses, wider), ContractError);
  EXPECT_THROW(run(negative, weights, 0, losses, dlogits), ContractError);
  EXPECT_THROW(run(too_large, weights, 0, losses, dlogits), ContractError);
  EXPECT_THROW(run(good, weights, -0.1f, losses, dlogits), ContractError);
  EXPECT_THROW(run(good, weights, 1, losses, dlogits), ContractError);
}

TEST(CrossEntropy, RejectsAScaleBeyondTheVocabulary) {
  const Rows rows = four_rows(7);
  EXPECT_NO_THROW(result(rows, {0, {0, 7, 1}}));
  EXPECT_NO_THROW(result(rows, {0, {7, 7, 1}}));
  for (const Scale& scale : {Scale{0, 8, 1}, Scale{-1, 7, 1}, Scale{4, 3, 1}}) {
    EXPECT_THROW(result(rows, {0, scale}), ContractError) << scale.first << " " << scale.last;
  }
}

}  // namespace
}  // namespace paligemma
