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

Result result(const Rows& rows, float smoothing) {
  const auto logits = rows.logits.view();
  Result y{Buffer<float, 1>({logits.size(0)}), Buffer<float, 2>(logits.shape())};
  cross_entropy(reference, logits, rows.targets_view(), rows.weights_view(), {smoothing},
                y.losses.view(), y.dlogits.view());
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
  const Result plain = result(rows, 0), smooth = result(rows, 0.5f);
  const Tolerance tolerance = float_sum_of(2, std::log(4));
  EXPECT_TRUE(close(plain.losses.view(), vector_of({std::log(4)}).view(), tolerance));
  EXPECT_TRUE(close(plain.dlogits.view(), rows_of({{-0.75, 0.75}}).view(), tolerance));
  EXPECT_TRUE(
      close(smooth.losses.view(), vector_of({std::log(4) - std::log(3) / 4}).view(), tolerance));
  EXPECT_TRUE(close(smooth.dlogits.view(), rows_of({{-0.5, 0.5}}).view(), tolerance));
}

// The equations again, in double: a loss for each row.
Doubles definition(const Doubles& logits, const Rows& rows, double smoothing) {
  const std::size_t B = rows.targets.size(), V = logits.size() / B;
  Doubles losses;
  for (std::size_t b = 0; b < B; ++b) {
    double sum = 0, loss = 0;
    for (std::size_t v = 0; v < V; ++v) sum += std::exp(logits[b * V + v]);
    for (std::size_t v = 0; v < V; ++v) {
      const bool is_target = v == static_cast<std::size_t>(rows.targets[b]);
      const double aim = (is_target ? 1 - smoothing : 0) + smoothing / static_cast<double>(V);
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
      const Result y = result(rows, smoothing);
      EXPECT_TRUE(is_gradient(y.losses, f(logits), V)) << "V = " << V;
      EXPECT_TRUE(is_gradient(y.dlogits, gradient_of(f, logits, {1, 1, 1, 1}), V)) << "V = " << V;
    }
  }
}

TEST(CrossEntropy, MayWriteInPlace) {
  Rows rows = four_rows(33);
  const Result y = result(rows, 0.1f);
  Buffer<float, 1> losses({4});
  const auto logits = rows.logits.view();
  cross_entropy(reference, logits, rows.targets_view(), rows.weights_view(), {0.1f}, losses.view(),
                logits);
  EXPECT_TRUE(close(losses.view(), y.losses.view(), kExact));
  EXPECT_TRUE(close(logits, y.dlogits.view(), kExact));
}

// exp(1e4) is no number of any kind. The last row's log-sum-exp is rounded where it stands, near 1e4.
TEST(CrossEntropy, DoesNotOverflow) {
  const Rows rows{rows_of({{1e4, -1e4}, {1e4, -1e4}, {-1e4, -1e4}}), {0, 1, 0}, {1, 1, 1}};
  const Result y = result(rows, 0);
  const auto losses = vector_of({0, 2e4, std::log(2)});
  const auto dlogits = rows_of({{0, 0}, {1, -1}, {-0.5, 0.5}});
  EXPECT_TRUE(close(y.losses.view(), losses.view(), float_sum_of(2, 1e4)));
  EXPECT_TRUE(close(y.dlogits.view(), dlogits.view(), float_sum_of(2, 1e4)));
}

TEST(CrossEntropy, AWeightScalesLossAndGradient) {
  Rows rows = four_rows(33);
  rows.weights = {1, 1, 1, 1};
  const Result whole = result(rows, 0.1f);
  rows.weights = {0.5f, 2, 0, 1};  // powers of two: nothing is rounded
  const Result y = result(rows, 0.1f);
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
    const Result y = result(rows, 0.1f);
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

}  // namespace
}  // namespace paligemma
