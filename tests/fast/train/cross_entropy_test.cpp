#include "fast/train/cross_entropy.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "tests/support/instruction_sets.h"

namespace paligemma {
namespace {

using namespace test;

class FastCrossEntropy : public OnEveryInstructionSet {
 protected:
  struct Result {
    Buffer<float, 1> losses;
    Buffer<float, 2> dlogits;
  };
  static Buffer<float, 2> random_logits(Index B, Index V) {
    auto x = random<float, 2>({B, V}, 1);
    for (Index i = 0; i < x.view().count(); ++i) x.view().data()[i] *= 20;
    return x;
  }
  template <class On>
  static Result run(const On& on, View<const float, 2> logits, const Aim& aim) {
    const Index B = logits.size(0), V = logits.size(1);
    std::vector<TokenId> targets;
    for (Index b = 0; b < B; ++b) targets.push_back(static_cast<TokenId>((7 * b + 3) % V));
    const auto weights = random<float, 1>({B}, 2);
    Result result{Buffer<float, 1>({B}), Buffer<float, 2>({B, V})};
    cross_entropy(on, logits, {targets.data(), {B}}, weights.view(), aim, result.losses.view(),
                  result.dlogits.view());
    return result;
  }
};
INSTANTIATE_TEST_SUITE_P(, FastCrossEntropy, kInstructionSets, instruction_set_name);

// What is aimed at and a loss are numbers up to 52, which each version rounds to 32 roundings of 1; the logarithm of
// the sum, below 16, to 8, and the sum itself, a float of up to 256 terms in a lane, to 36.
constexpr Tolerance kLoss{4 * kUnitRoundoff, (4 * 32 + 2 * 8 + 36) * kUnitRoundoff};

// A probability is at most 1: an exponential within 2 ulp each, the reference's argument rounded twice, sums of few
// terms where it is near 1, a quotient and a product; then the aim is subtracted, and the weight multiplied.
constexpr Tolerance kGradient{0, (4 + 4 + 2 + 4 + 4 + 4) * kUnitRoundoff};

TEST_P(FastCrossEntropy, MatchesReference) {
  for (const float smoothing : {0.0f, 0.1f}) {
    for (const Index V : {1, 7, 255, 257, 1856, 4304, 257216}) {
      const Index B = V > 100000 ? 2 : 5;
      const auto logits = random_logits(B, V);
      const Result y = run(fast, logits.view(), {smoothing}),
                   expected = run(reference, logits.view(), {smoothing});
      EXPECT_TRUE(close(y.losses.view(), expected.losses.view(), kLoss)) << "V = " << V;
      EXPECT_TRUE(close(y.dlogits.view(), expected.dlogits.view(), kGradient)) << "V = " << V;
    }
  }
}

// The first row's target is on both scales, the others' on the longer one, as far as there are as many tokens.
TEST_P(FastCrossEntropy, MatchesReferenceOnAScale) {
  for (const Index V : {1, 7, 255, 4304, 257216}) {
    const Index B = V > 100000 ? 2 : 5;
    const auto logits = random_logits(B, V);
    const auto end = [V](Index last) { return static_cast<TokenId>(std::min(V, last)); };
    for (const Scale& scale : {Scale{end(2), end(1026), 3}, Scale{0, end(5), 0.5f}}) {
      for (const float smoothing : {0.0f, 0.1f}) {
        const Result y = run(fast, logits.view(), {smoothing, scale}),
                     expected = run(reference, logits.view(), {smoothing, scale});
        EXPECT_TRUE(close(y.losses.view(), expected.losses.view(), kLoss)) << "V = " << V;
        EXPECT_TRUE(close(y.dlogits.view(), expected.dlogits.view(), kGradient)) << "V = " << V;
      }
    }
  }
}

// A softmax does not change if all logits do, and no digit is lost: these sums are exact.
TEST_P(FastCrossEntropy, LargeLogitsLoseNothing) {
  Buffer<float, 2> logits({2, 40}), large({2, 40});
  for (Index i = 0; i < 80; ++i) {
    logits.view().data()[i] = static_cast<float>(i * 37 % 80) / 8;
    large.view().data()[i] = logits.view().data()[i] + 65536;
  }
  const Result expected = run(fast, logits.view(), {0.1f}), y = run(fast, large.view(), {0.1f});
  EXPECT_TRUE(close(y.losses.view(), expected.losses.view(), kExact));
  EXPECT_TRUE(close(y.dlogits.view(), expected.dlogits.view(), kExact));
}

TEST_P(FastCrossEntropy, TakesRowsOfAWiderMatrix) {
  const auto wide = random_logits(2, 60);
  const View<const float, 2> logits(wide.view().data(), {2, 40}, {60, 1});
  const Result y = run(fast, logits, {0.1f}), expected = run(reference, logits, {0.1f});
  EXPECT_TRUE(close(y.losses.view(), expected.losses.view(), kLoss));
  EXPECT_TRUE(close(y.dlogits.view(), expected.dlogits.view(), kGradient));
}

// Which are no stretches of memory: either of the two.
TEST_P(FastCrossEntropy, TakesColumns) {
  const auto table = random_logits(40, 2);
  const View<const float, 2> columns(table.view().data(), {2, 40}, {1, 2});
  const Result y = run(fast, columns, {0.1f}), expected = run(reference, columns, {0.1f});
  EXPECT_TRUE(close(y.losses.view(), expected.losses.view(), kLoss));
  EXPECT_TRUE(close(y.dlogits.view(), expected.dlogits.view(), kGradient));

  Buffer<float, 2> logits({2, 40}), turned({40, 2}), dlogits({2, 40});
  copy(reference, columns, logits.view());
  Buffer<float, 1> losses({2});
  const TokenId targets[] = {3, 10};
  const auto weights = random<float, 1>({2}, 2);
  const View<float, 2> to(turned.view().data(), {2, 40}, {1, 2});
  cross_entropy(fast, std::as_const(logits).view(), {targets, {2}}, weights.view(), {0.1f},
                losses.view(), to);
  copy(reference, View<const float, 2>(to), dlogits.view());
  EXPECT_TRUE(close(dlogits.view(), expected.dlogits.view(), kGradient));
}

TEST_P(FastCrossEntropy, MayWriteInPlace) {
  for (const Scale& scale : {Scale{}, Scale{2, 30, 2}}) {
    auto logits = random_logits(2, 40);
    const Result expected = run(fast, logits.view(), {0.1f, scale});
    const TokenId targets[] = {3, 10};
    const auto weights = random<float, 1>({2}, 2);
    Buffer<float, 1> losses({2});
    cross_entropy(fast, std::as_const(logits).view(), {targets, {2}}, weights.view(), {0.1f, scale},
                  losses.view(), logits.view());
    EXPECT_TRUE(close(logits.view(), expected.dlogits.view(), kExact));
    EXPECT_TRUE(close(losses.view(), expected.losses.view(), kExact));
  }
}

TEST_P(FastCrossEntropy, ALogitThatIsNoNumberShowsInTheLoss) {
  for (const float wrong : {NAN, INFINITY}) {
    for (const Index at : {0, 20, 36, 38}) {  // in whole registers, and behind them
      auto logits = random_logits(1, 39);
      logits.view()(0, at) = wrong;
      EXPECT_FALSE(std::isfinite(run(fast, logits.view(), {}).losses.view()(0)));
    }
  }
}

TEST_P(FastCrossEntropy, RejectsWhatTheReferenceRejects) {
  const auto logits = random_logits(1, 4);
  EXPECT_THROW(run(fast, logits.view(), {1.0f}), ContractError);
  EXPECT_THROW(run(fast, logits.view(), {0, {0, 5, 1}}), ContractError);
  const TokenId target = 4;
  Buffer<float, 1> number({1});
  Buffer<float, 2> dlogits({1, 4});
  EXPECT_THROW(cross_entropy(fast, logits.view(), {&target, {1}}, number.view(), {}, number.view(),
                             dlogits.view()),
               ContractError);
}

}  // namespace
}  // namespace paligemma
