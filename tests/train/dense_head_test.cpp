#include "train/dense_head.h"

#include <cmath>
#include <cstddef>

#include "tests/support/compare.h"
#include "tests/support/data.h"
#include "tests/support/dense.h"
#include "tests/support/error_text.h"
#include "tests/support/gradients.h"

namespace paligemma {
namespace {

using namespace test;

// docs/train/dense_head.md, "By hand": one patch, a part of two classes and one of a number.
TEST(DenseHead, WorkedExample) {
  const auto encoded = rows_of({{1, std::log(3)}});
  HeadAndGradients head(rows_of({{0, 0}, {0, 1}, {2, 0}}), vector_of({0, 0, 1}));
  const DenseTargets targets{{{2, {0}, {1}}}, {{1, {2.5f}, {0.5f}}}};
  Buffer<float, 2> dencoded({1, 2});
  const double loss = dense_loss(reference, encoded.view(), head.views(), targets, dencoded.view());
  const Tolerance tolerance = float_sum_of(3, 2);
  EXPECT_NEAR(loss, std::log(4) + 0.25, tolerance.absolute);
  const double l = std::log(3);
  EXPECT_TRUE(close(head.dweight.view(),
                    rows_of({{-0.75, -0.75 * l}, {0.75, 0.75 * l}, {0.5, 0.5 * l}}).view(),
                    tolerance));
  EXPECT_TRUE(close(head.dbias.view(), vector_of({-0.75, 0.75, 0.5}).view(), tolerance));
  EXPECT_TRUE(close(dencoded.view(), rows_of({{1, 0.75}}).view(), tolerance));
}

constexpr Index kRows = 5, kWidth = 6;

// Two parts that name and two that measure, with rows that do not count in each.
DenseTargets four_parts() {
  DenseTargets targets;
  targets.names.push_back({3, {0, 2, 1, 1, 0}, {1, 0.5f, 0, 2, 0.25f}});
  targets.names.push_back({4, {3, 0, 2, 1, 3}, {0.125f, 0, 1, 0.5f, 1}});
  for (const Index width : {2, 1}) {
    const auto values = random<float, 1>({kRows * width}, 7 + static_cast<unsigned>(width));
    const float* const first = values.view().data();
    targets.measures.push_back({width, {first, first + kRows * width}, {0.5f, 1, 0, 2, 0.25f}});
  }
  return targets;
}
HeadAndGradients head_of(const DenseTargets& targets) { return {targets.columns(), kWidth}; }

// The equations again, in double. `numbers` are encoded, the head's weights and its bias, one behind the other.
double definition(const Doubles& numbers, const DenseTargets& targets) {
  const auto C = static_cast<std::size_t>(targets.columns());
  const std::size_t R = kRows, D = kWidth;
  const double *const encoded = numbers.data(), *const weight = encoded + R * D,
                      *const bias = weight + C * D;
  double loss = 0;
  for (std::size_t r = 0; r < R; ++r) {
    Doubles y;
    for (std::size_t c = 0; c < C; ++c) {
      y.push_back(bias[c]);
      for (std::size_t d = 0; d < D; ++d) y.back() += weight[c * D + d] * encoded[r * D + d];
    }
    std::size_t column = 0;
    for (const auto& part : targets.names) {
      double sum = 0;
      const auto width = static_cast<std::size_t>(part.width);
      for (std::size_t c = 0; c < width; ++c) sum += std::exp(y[column + c]);
      const auto target = static_cast<std::size_t>(part.targets[r]);
      loss += double{part.weights[r]} * (std::log(sum) - y[column + target]);
      column += width;
    }
    for (const auto& part : targets.measures) {
      const auto width = static_cast<std::size_t>(part.width);
      for (std::size_t c = 0; c < width; ++c) {
        const double value = part.values[r * width + c];
        loss += double{part.weights[r]} * std::abs(y[column + c] - value);
      }
      column += width;
    }
  }
  return loss;
}

Doubles joined(const Buffer<float, 2>& encoded, const HeadAndGradients& head) {
  Doubles all = doubles(encoded);
  for (const Doubles& more : {doubles(head.weight), doubles(head.bias)}) {
    all.insert(all.end(), more.begin(), more.end());
  }
  return all;
}

TEST(DenseHead, IsTheDefinitionAndItsSlope) {
  const auto encoded = random<float, 2>({kRows, kWidth}, 1);
  const DenseTargets targets = four_parts();
  ASSERT_EQ(targets.columns(), 10);
  HeadAndGradients head = head_of(targets);
  Buffer<float, 2> dencoded({kRows, kWidth});
  const double loss = dense_loss(reference, encoded.view(), head.views(), targets, dencoded.view());
  const auto f = [&](const Doubles& x) { return Doubles{definition(x, targets)}; };
  const Doubles numbers = joined(encoded, head), slope = gradient_of(f, numbers, {1});
  EXPECT_NEAR(loss, f(numbers)[0], float_sum_of(50, f(numbers)[0]).absolute);
  const auto weight = slope.begin() + kRows * kWidth, bias = weight + 10 * kWidth;
  EXPECT_TRUE(is_gradient(dencoded, Doubles(slope.begin(), weight), 50));
  EXPECT_TRUE(is_gradient(head.dweight, Doubles(weight, bias), 50));
  EXPECT_TRUE(is_gradient(head.dbias, Doubles(bias, slope.end()), 50));
}

// Parts add up, whichever there are, and one whose weights are zero is as good as none.
TEST(DenseHead, IsTheSumOfItsParts) {
  const auto encoded = random<float, 2>({kRows, kWidth}, 1);
  const DenseTargets all = four_parts();
  const auto loss_of = [&](const DenseTargets& targets, Buffer<float, 2>& dencoded) {
    HeadAndGradients head = head_of(targets);
    return dense_loss(reference, encoded.view(), head.views(), targets, dencoded.view());
  };
  Buffer<float, 2> whole({kRows, kWidth}), parts({kRows, kWidth});
  const double loss = loss_of(all, whole);
  double sum = 0;
  for (std::size_t kept = 0; kept < 4; ++kept) {
    DenseTargets one = all;
    for (std::size_t i = 0; i < 4; ++i) {
      if (i == kept) continue;
      std::vector<float>& weights = i < 2 ? one.names[i].weights : one.measures[i - 2].weights;
      weights.assign(weights.size(), 0);
    }
    sum += loss_of(one, parts);
  }
  EXPECT_NEAR(sum, loss, float_sum_of(50, loss).absolute);
  EXPECT_TRUE(close(parts.view(), whole.view(), float_sum_of(50, 10)));
}

// What comes back is added: to the head's gradients, and to what the tower got from elsewhere.
TEST(DenseHead, AddsToWhatIsThere) {
  const auto encoded = random<float, 2>({kRows, kWidth}, 1);
  const DenseTargets targets = four_parts();
  HeadAndGradients once = head_of(targets), twice_ = head_of(targets);
  Buffer<float, 2> dencoded({kRows, kWidth}), sum({kRows, kWidth});
  dense_loss(reference, encoded.view(), once.views(), targets, dencoded.view());
  for (int i = 0; i < 2; ++i) {
    dense_loss(reference, encoded.view(), twice_.views(), targets, sum.view());
  }
  const auto expect_double = [](const auto& found, const auto& expected) {
    for (Index i = 0; i < found.view().count(); ++i) {
      EXPECT_NEAR(found.view().data()[i], 2 * expected.view().data()[i],
                  float_sum_of(50, 10).absolute);
    }
  };
  expect_double(sum, dencoded);
  expect_double(twice_.dweight, once.dweight);
  expect_double(twice_.dbias, once.dbias);
}

// Of a tower that is frozen.
TEST(DenseHead, LearnsByItself) {
  const auto encoded = random<float, 2>({kRows, kWidth}, 1);
  const DenseTargets targets = four_parts();
  HeadAndGradients beside = head_of(targets), alone = head_of(targets);
  Buffer<float, 2> dencoded({kRows, kWidth});
  const double loss =
      dense_loss(reference, encoded.view(), beside.views(), targets, dencoded.view());
  EXPECT_EQ(dense_loss(reference, encoded.view(), alone.views(), targets, View<float, 2>()), loss);
  EXPECT_TRUE(close(alone.dweight.view(), beside.dweight.view(), kExact));
  EXPECT_TRUE(close(alone.dbias.view(), beside.dbias.view(), kExact));
}

// Where it is right it does not move, and neither does the loss.
TEST(DenseHead, IsContentWithTheRightNumbers) {
  const auto encoded = random<float, 2>({kRows, kWidth}, 1);
  DenseTargets targets;
  targets.measures.push_back({2, std::vector<float>(2 * kRows), std::vector<float>(kRows, 1)});
  HeadAndGradients head = head_of(targets);
  Buffer<float, 2> y({kRows, 2}), dencoded({kRows, kWidth});
  linear(reference, encoded.view(), head.views().weights, y.view());
  std::copy_n(y.view().data(), 2 * kRows, targets.measures[0].values.data());
  EXPECT_EQ(dense_loss(reference, encoded.view(), head.views(), targets, dencoded.view()), 0);
  EXPECT_TRUE(close(dencoded.view(), Buffer<float, 2>({kRows, kWidth}).view(), kExact));
}

TEST(DenseHead, RejectsTargetsOfOtherSizes) {
  const auto encoded = random<float, 2>({kRows, kWidth}, 1);
  const auto run = [&](const DenseTargets& targets) {
    HeadAndGradients head = head_of(four_parts());
    dense_loss(reference, encoded.view(), head.views(), targets, View<float, 2>());
  };
  EXPECT_NO_THROW(run(four_parts()));
  const auto expect_refused = [&](const auto& change) {
    DenseTargets targets = four_parts();
    change(targets);
    EXPECT_THROW(run(targets), ContractError);
  };
  DenseTargets fewer = four_parts();
  fewer.measures.pop_back();
  EXPECT_TRUE(holds(error_text<ContractError>([&] { run(fewer); }), "9 columns"));
  expect_refused([](DenseTargets& t) { t.names[1].targets.pop_back(); });
  expect_refused([](DenseTargets& t) { t.names[1].weights.pop_back(); });
  expect_refused([](DenseTargets& t) { t.names[0].targets[2] = 3; });
  expect_refused([](DenseTargets& t) { t.measures[0].values.pop_back(); });
  expect_refused([](DenseTargets& t) { t.measures[1].weights.pop_back(); });
}

}  // namespace
}  // namespace paligemma
