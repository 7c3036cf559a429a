#include "paligemma/beam_search.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/golden.h"

namespace paligemma {
namespace {

using namespace test;

class BeamSearch : public ::testing::TestWithParam<int> {
 protected:
  std::vector<BeamAnswer> search(const BeamSearchOptions& options) const {
    const Index B = options.beams.beams;
    Session<Reference> session(m_.model.text, m_.prefix(), m_.prefix() + options.max_tokens, B);
    return beam_search(m_.model, m_.image_rows.view(), m_.golden.prompt_ids, session, options,
                       NoTap());
  }
  static std::vector<TokenId> ids(const BeamAnswer& answer) {
    std::vector<TokenId> ids;
    for (const GeneratedToken& token : answer.tokens) ids.push_back(token.id);
    return ids;
  }
  // The log-probability of these tokens behind the prompt, of one pass over all of them.
  double scored(const std::vector<TokenId>& answer) const {
    std::vector<TokenId> all = m_.golden.prompt_ids;
    double sum = 0;
    for (const TokenId id : answer) {
      Session<Reference> session(m_.model.text, static_cast<Index>(all.size()),
                                 static_cast<Index>(all.size()));
      forward(m_.model, all, m_.image_rows.view(), m_.prefix(), session, NoTap());
      sum += log_probability(reference, session.scratch.logits.view().row(0), id);
      all.push_back(id);
    }
    return sum;
  }

  const GoldenModel m_{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(PaliGemma, BeamSearch, ::testing::Values(1, 2));

// docs/paligemma/beam_search.md, "By hand".
TEST_P(BeamSearch, OfOneBeamIsGreedy) {
  const auto found = search({.beams = {.beams = 1}, .max_tokens = 6});
  ASSERT_EQ(found.size(), 1u);
  const auto& expected = m_.golden.generated_ids;
  EXPECT_EQ(ids(found[0]), std::vector<TokenId>(expected.begin(), expected.begin() + 6));
}

// Keys and values of each beam are those of its own tokens, whatever was forked on the way.
TEST_P(BeamSearch, ScoresAreThoseOfOnePassOverAllTokens) {
  const auto found = search({.beams = {.beams = 5, .length_penalty = 0}, .max_tokens = 12});
  ASSERT_EQ(found.size(), 5u);
  for (const BeamAnswer& answer : found) {
    EXPECT_NEAR(answer.score, scored(ids(answer)),
                1e-4);  // cached rows are summed in another order
    double sum = 0;
    for (const GeneratedToken& token : answer.tokens) sum += token.log_probability;
    EXPECT_NEAR(answer.score, sum, 1e-5);
  }
  for (std::size_t i = 1; i < found.size(); ++i) EXPECT_GE(found[i - 1].score, found[i].score);
  const auto greedy = search({.beams = {.beams = 1, .length_penalty = 0}, .max_tokens = 12});
  EXPECT_GE(found[0].score, greedy[0].score);
}

// The rules change what is chosen; the log-probabilities told are those before them.
TEST_P(BeamSearch, RulesHoldForEachBeamsOwnTokens) {
  const auto free = search({.beams = {.beams = 2}, .max_tokens = 5});
  BeamSearchOptions options{.beams = {.beams = 2}, .max_tokens = 5};
  options.rules.suppressed = {ids(free[0])[0]};
  for (const BeamAnswer& answer : search(options)) {
    for (const GeneratedToken& token : answer.tokens) EXPECT_NE(token.id, ids(free[0])[0]);
  }
  options = {.beams = {.beams = 2}, .max_tokens = 20, .rules = {.no_repeat_ngram = 1}};
  for (const BeamAnswer& answer : search(options)) {
    const auto all = ids(answer);
    EXPECT_EQ(std::set<TokenId>(all.begin(), all.end()).size(), all.size());
  }
}

// Those of the row that the token was chosen from.
TEST_P(BeamSearch, TellsTheLikeliestTokens) {
  const Index V = m_.model.text.vocabulary;
  for (const BeamAnswer& answer :
       search({.beams = {.beams = 3}, .max_tokens = 6, .likeliest = V})) {
    for (const GeneratedToken& token : answer.tokens) {
      ASSERT_EQ(static_cast<Index>(token.likeliest.size()), V);
      const auto same = std::ranges::find(token.likeliest, token.id, &Choice::id);
      EXPECT_NEAR(same->log_probability, token.log_probability, 1e-5);
    }
  }
}

TEST_P(BeamSearch, EndsWhereItIsToldTo) {
  const auto free = search({.beams = {.beams = 2}, .max_tokens = 8});
  const TokenId last = ids(free[0])[3];
  const auto stops = [&](std::span<const TokenId> all) { return all.back() == last; };
  const auto ended = search({.beams = {.beams = 2}, .max_tokens = 8, .end_tokens = {last}});
  const auto stopped = search({.beams = {.beams = 2}, .max_tokens = 8, .stops = stops});
  EXPECT_NE(ids(stopped[0]), ids(free[0]));
  EXPECT_EQ(ids(stopped[0]), ids(ended[0]));
}

TEST_P(BeamSearch, EndsAtAnEndToken) {
  const TokenId end = m_.golden.generated_ids[2];
  for (const BeamAnswer& answer :
       search({.beams = {.beams = 2}, .max_tokens = 8, .end_tokens = {end}})) {
    const auto all = ids(answer);
    for (std::size_t i = 0; i + 1 < all.size(); ++i) EXPECT_NE(all[i], end);
  }
}

}  // namespace
}  // namespace paligemma
