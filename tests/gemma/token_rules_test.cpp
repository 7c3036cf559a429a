#include "gemma/token_rules.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <vector>

#include "gemma/likeliest_tokens.h"

namespace paligemma {
namespace {

using Ids = std::vector<TokenId>;
using Numbers = std::vector<float>;

View<float, 1> view(Numbers& logits) {
  return {logits.data(), {static_cast<Index>(logits.size())}};
}
TokenId next(const TokenRules& rules, const Ids& history, Numbers logits,
             const SamplerOptions& options = {}, std::uint64_t step = 0) {
  return sample_by_rules(rules, history, view(logits), options, step);
}
// All that come in many draws.
std::set<TokenId> drawn(const TokenRules& rules, const Numbers& logits, SamplerOptions options) {
  std::set<TokenId> ids;
  for (std::uint64_t step = 0; step < 2000; ++step) {
    ids.insert(next(rules, {}, logits, options, step));
  }
  return ids;
}

// docs/gemma/token_rules.md, "By hand".
TEST(TokenRules, WorkedExample) {
  Numbers logits{4, 5, 3, 2};
  const TokenRules rules{.repetition_penalty = 2, .no_repeat_ngram = 2, .suppressed = {2}};
  apply_rules(rules, Ids{1, 0, 1}, view(logits));
  EXPECT_EQ(logits, (Numbers{-INFINITY, 2.5, -INFINITY, 2}));
  EXPECT_EQ(next(rules, {1, 0, 1}, {4, 5, 3, 2}), 1);
}

TEST(TokenRules, WithoutAnyTheSamplerChooses) {
  EXPECT_EQ(next({}, {1, 1, 1}, {1, 3, 2}), 1);
  const SamplerOptions draw{.temperature = 1, .top_k = 2, .seed = 7};
  const Numbers logits{1, 3, 2};
  for (std::uint64_t step = 0; step < 50; ++step) {
    EXPECT_EQ(next({}, {1}, logits, draw, step),
              sample(reference, {logits.data(), {3}}, draw, step));
  }
}

// Were the penalty applied behind the ban, the ban would be lifted by nothing; what shows the order is a
// suppressed token that the penalty would have touched.
TEST(TokenRules, SuppressedTokensNeverCome) {
  EXPECT_EQ(next({.suppressed = {1, 2, 77, -3}}, {}, {0, 3, 2, -1}), 0);
  EXPECT_EQ(next({.repetition_penalty = 0.1f, .suppressed = {1}}, {1}, {0, 3}), 0);
}

TEST(TokenRules, MinPIsOfADrawAlone) {
  EXPECT_EQ(next({.min_p = 1}, {}, {0, 3, 3}), 1);
  const Numbers logits{std::log(2.0f), std::log(8.0f), std::log(4.0f), 0, std::log(5.0f)};
  EXPECT_EQ(drawn({.min_p = 0.4f}, logits, {.temperature = 1}), (std::set<TokenId>{1, 2, 4}));
}

// p = 0.1, 0.4, 0.2, 0.05, 0.25: 0.65 before id 2. Of what min-p leaves that is 0.65 / 0.85 = 0.76.
TEST(TokenRules, TopPIsAShareOfAllTokensNotOfThoseThatMinPLeaves) {
  const Numbers logits{std::log(2.0f), std::log(8.0f), std::log(4.0f), 0, std::log(5.0f)};
  EXPECT_EQ(drawn({.min_p = 0.4f}, logits, {.temperature = 1, .top_p = 0.7f}),
            (std::set<TokenId>{1, 2, 4}));
  EXPECT_EQ(drawn({.min_p = 0.4f}, logits, {.temperature = 1, .top_p = 0.6f}),
            (std::set<TokenId>{1, 4}));
  EXPECT_EQ(drawn({.min_p = 0.4f}, logits, {.temperature = 1, .top_p = 0.95f}),
            (std::set<TokenId>{1, 2, 4}));
}

TEST(TokenRules, RefuseARowOfWhichNothingIsLeft) {
  EXPECT_THROW(next({.suppressed = {0, 1}}, {}, {1, 2}), std::runtime_error);
  EXPECT_THROW(next({.suppressed = {0, 1}, .min_p = 0.5f}, {}, {1, 2}, {.temperature = 1}),
               std::runtime_error);
}

TEST(LikeliestTokens, AreInOrderAndEqualsById) {
  const Numbers logits{1, 3, 2, 3};
  const auto all = likeliest_tokens({logits.data(), {4}}, 3);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ((Ids{all[0].id, all[1].id, all[2].id}), (Ids{1, 3, 2}));
  for (const Choice& choice : all) {
    EXPECT_FLOAT_EQ(choice.log_probability,
                    log_probability(reference, {logits.data(), {4}}, choice.id));
  }
  EXPECT_EQ(likeliest_tokens({logits.data(), {4}}, 9).size(), 4u);
  EXPECT_TRUE(likeliest_tokens({logits.data(), {4}}, 0).empty());
}

}  // namespace
}  // namespace paligemma
