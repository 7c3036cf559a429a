#include "zeta/loss.h"

#include <array>

#include "tests/support/compare.h"
#include "tests/support/data.h"
#include "tests/support/zeta_tables.h"

namespace paligemma::zeta {
namespace {

using namespace test;

double loss(const Buffer<float, 2>& logits, const std::vector<TokenId>& targets,
            TokenId ignored = kIgnored) {
  return cross_entropy(reference, View<const float, 2>(logits.view()),
                       {targets.data(), {static_cast<Index>(targets.size())}}, ignored);
}

// A loss of order 1, of float sums of V terms.
void expect_close(double actual, double expected, Index V) {
  EXPECT_TRUE(close(vector_of({actual}).view(), vector_of({expected}).view(), float_sum_of(V, 1)));
}

// docs/zeta/loss.md, "By hand": p = 1/4, 1/2, 1/4 and 1/5, 2/5, 2/5.
TEST(Loss, WorkedExample) {
  const double ln2 = std::log(2.0);
  const auto logits = rows_of({{0, ln2, 0}, {0, ln2, ln2}, {5, 6, 7}});
  expect_close(loss(logits, {1, 0, kIgnored}), (ln2 + std::log(5.0)) / 2, 3);  // 1.151
}

TEST(Loss, OfAGuessIsTheLogarithmOfTheVocabulary) {
  for (Index V : {1, 7, 255, 257, 20000}) {
    const Buffer<float, 2> logits({3, V});
    expect_close(loss(logits, {0, static_cast<TokenId>(V - 1), static_cast<TokenId>(V / 2)}),
                 std::log(static_cast<double>(V)), V);
  }
}

TEST(Loss, MatchesTheDefinition) {
  for (Index V : {1, 7, 255, 257}) {
    for (Index T : {1, 7, 33}) {
      const auto logits = random<float, 2>({T, V}, 1);
      std::vector<TokenId> targets;
      double sum = 0;
      for (Index t = 0; t < T; ++t) {
        targets.push_back(static_cast<TokenId>(7 * t % V));
        double mass = 0;
        for (Index v = 0; v < V; ++v) mass += std::exp(double{logits.view()(t, v)});
        sum += std::log(mass) - logits.view()(t, targets.back());
      }
      expect_close(loss(logits, targets), sum / static_cast<double>(T), V);
    }
  }
}

TEST(Loss, LeavesOutWhatIsIgnored) {
  const auto logits = random<float, 2>({4, 9}, 1);
  const auto of_two = loss(logits, {1, -1, 5, -1}, -1);
  EXPECT_EQ(of_two, (loss(logits, {1, -1, -1, -1}, -1) + loss(logits, {-1, -1, 5, -1}, -1)) / 2);
  EXPECT_EQ(loss(logits, {1, 2, 5, 2}, 2), of_two);  // also a word of the vocabulary
}

TEST(Loss, OfNothingIsNaN) {
  const auto logits = random<float, 2>({2, 9}, 1);
  EXPECT_TRUE(std::isnan(loss(logits, {kIgnored, kIgnored})));
  EXPECT_TRUE(std::isnan(loss(Buffer<float, 2>({0, 9}), {})));
}

TEST(Loss, OfTheImpossibleIsInfinite) {
  EXPECT_EQ(loss(rows_of({{0, -INFINITY}, {0, 0}}), {1, 0}), INFINITY);
  EXPECT_EQ(loss(rows_of({{0, -INFINITY}}), {0}), 0);
}

TEST(Loss, RejectsTargetsOutsideTheVocabularyAndOtherNumbersOfThem) {
  const auto logits = random<float, 2>({2, 9}, 1);
  EXPECT_THROW(loss(logits, {0, 9}), ContractError);
  EXPECT_THROW(loss(logits, {-1, 0}), ContractError);
  EXPECT_THROW(loss(logits, {0}), ContractError);
  EXPECT_THROW(loss(logits, {0, 1, 2}), ContractError);
}

// Two attentions, two rows, two heads: (1 + 2)^2 + 0 in the first row, 0 + (3 - 1)^2 in the second.
TEST(ZLoss, WorkedExample) {
  const auto one = rows_of({{1, 0}, {0, 3}}), other = rows_of({{2, 0}, {0, -1}});
  const std::array<View<const float, 2>, 2> both{one.view(), other.view()};
  EXPECT_DOUBLE_EQ(z_loss(both, 1), (9 + 4) / 2.0);
  EXPECT_DOUBLE_EQ(z_loss(both), 1e-4 * (9 + 4) / 2.0);
}

// Two attentions of one head and three rows; the scores of the second are those of the first, the last row
// first.
TEST(ZLoss, IsWhatZetaComputes) {
  const std::vector<float> scores = zeta_table("in/logits").numbers;
  const Index T = 3, S = 29;
  Buffer<float, 2> one({T, 1}), other({T, 1});
  for (Index t = 0; t < T; ++t) {
    double sum = 0;
    for (Index s = 0; s < S; ++s) sum += std::exp(double{scores[t * S + s]});
    one.view()(t, 0) = other.view()(T - 1 - t, 0) = static_cast<float>(std::log(sum));
  }
  const std::array<View<const float, 2>, 2> both{one.view(), other.view()};
  EXPECT_NEAR(z_loss(both), zeta_table("out/z_loss").numbers[0],
              zeta_table("tol/z_loss").numbers[0]);
}

TEST(ZLoss, NeedsAttentionsOfOneShape) {
  const auto one = rows_of({{1, 0}}), other = rows_of({{2, 0}, {0, -1}});
  const std::array<View<const float, 2>, 2> both{one.view(), other.view()};
  EXPECT_THROW(z_loss(both), ContractError);
  EXPECT_THROW(z_loss({}), ContractError);
}

}  // namespace
}  // namespace paligemma::zeta
