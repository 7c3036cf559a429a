#include "paligemma/prompt_lookup.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/support/golden.h"

namespace paligemma {
namespace {

using namespace test;
using Ids = std::vector<TokenId>;

// docs/paligemma/prompt_lookup.md, "By hand".
TEST(GuessedTokens, WorkedExample) {
  const Ids history{5, 1, 2, 8, 9, 6, 1, 2};
  EXPECT_EQ(guessed_tokens(history, 3), (Ids{8, 9, 6}));
  EXPECT_EQ(guessed_tokens(history, 9), (Ids{8, 9, 6, 1, 2}));
  EXPECT_EQ(guessed_tokens(history, 0), Ids{});
}

TEST(GuessedTokens, TwoTokensGoBeforeOneAndTheLatestPlaceBeforeOthers) {
  EXPECT_EQ(guessed_tokens(Ids{1, 2, 7, 3, 2, 8, 1, 2}, 1), Ids{7}) << "1, 2 was there";
  EXPECT_EQ(guessed_tokens(Ids{4, 2, 7, 3, 2, 8, 1, 2}, 1), Ids{8}) << "only 2 was";
  EXPECT_EQ(guessed_tokens(Ids{1, 2, 7, 1, 2, 8, 1, 2}, 1), Ids{8});
}

TEST(GuessedTokens, ANewTokenHasNone) {
  EXPECT_EQ(guessed_tokens(Ids{1, 2, 3}, 4), Ids{});
  EXPECT_EQ(guessed_tokens(Ids{1}, 4), Ids{});
  EXPECT_EQ(guessed_tokens(Ids{}, 4), Ids{});
  EXPECT_EQ(guessed_tokens(Ids{1, 1}, 4), Ids{1});
}

struct Lookup {
  std::vector<GeneratedToken> tokens;
  Ids ids;
  std::size_t passes;
};

class PromptLookup : public ::testing::TestWithParam<int> {
 protected:
  Lookup lookup(
      const GenerateOptions& options, Index guesses,
      const std::function<bool(const GeneratedToken&)>& on_token = [](const auto&) {
        return true;
      }) const {
    Session<Reference> session(m_.model.text, m_.prefix(), m_.prefix() + options.max_tokens,
                               guesses + 1);
    return told(generate_by_lookup(m_.model, m_.image_rows.view(), m_.golden.prompt_ids, session,
                                   options, guesses, on_token, NoTap()));
  }
  Lookup plain(const GenerateOptions& options) const {
    Session<Reference> session(m_.model.text, m_.prefix(), m_.prefix() + options.max_tokens);
    return told(generate(
        m_.model, m_.image_rows.view(), m_.golden.prompt_ids, session, options,
        [](const auto&) { return true; }, NoTap()));
  }
  void expect_the_same(const GenerateOptions& options, Index guesses) const {
    const Lookup found = lookup(options, guesses), expected = plain(options);
    ASSERT_EQ(found.ids, expected.ids) << guesses << " guesses";
    for (std::size_t i = 0; i < found.ids.size(); ++i) {
      EXPECT_EQ(found.tokens[i].log_probability, expected.tokens[i].log_probability) << i;
    }
  }

  const GoldenModel m_{GetParam()};

 private:
  static Lookup told(std::vector<GeneratedToken> tokens) {
    Lookup lookup{std::move(tokens), {}, 0};
    std::set<std::chrono::steady_clock::time_point> starts;
    for (const GeneratedToken& token : lookup.tokens) {
      lookup.ids.push_back(token.id);
      starts.insert(token.start);
    }
    lookup.passes = starts.size();
    return lookup;
  }
};
INSTANTIATE_TEST_SUITE_P(PaliGemma, PromptLookup, ::testing::Values(1, 2));

// Bit for bit: a row does not depend on those beside it.
TEST_P(PromptLookup, SaysWhatGenerateSays) {
  for (const Index guesses : {1, 7}) {
    expect_the_same({.max_tokens = 24}, guesses);
    expect_the_same({.max_tokens = 24, .sampler = {.temperature = 1.5f, .seed = 3}}, guesses);
    expect_the_same({.max_tokens = 16, .rules = {.repetition_penalty = 1.3f}}, guesses);
    // A penalty below 1 rewards repetition, so that guesses are right.
    expect_the_same({.max_tokens = 24, .rules = {.repetition_penalty = 0.5f}}, guesses);
    for (const std::uint64_t seed : {1u, 2u, 3u}) {
      expect_the_same({.max_tokens = 24,
                       .sampler = {.temperature = 1.5f, .seed = seed},
                       .rules = {.repetition_penalty = 0.5f}},
                      guesses);
    }
  }
}

TEST_P(PromptLookup, NeedsFewerPassesWhereGuessesAreRight) {
  const GenerateOptions repeats{.max_tokens = 24, .rules = {.repetition_penalty = 0.5f}};
  EXPECT_EQ(plain(repeats).passes, 24u);
  EXPECT_LT(lookup(repeats, 7).passes, 24u);
}

TEST_P(PromptLookup, EndsWhereGenerateEnds) {
  GenerateOptions options{.max_tokens = 24, .rules = {.repetition_penalty = 0.5f}};
  const Ids all = plain(options).ids;
  for (const Index most : {1, 2, 3, 5, 11}) {
    options.max_tokens = most;
    EXPECT_EQ(lookup(options, 7).ids, Ids(all.begin(), all.begin() + most));
  }
  options.max_tokens = 24;
  options.end_tokens = {all[9]};
  EXPECT_EQ(lookup(options, 7).ids, plain(options).ids);
  options.end_tokens = {};
  std::size_t heard = 0;
  EXPECT_EQ(lookup(options, 7, [&](const auto&) { return ++heard < 4; }).ids.size(), 4u);
}

TEST_P(PromptLookup, TellsTheLikeliestToo) {
  const Lookup found = lookup({.max_tokens = 6, .likeliest = 2}, 3);
  for (const GeneratedToken& token : found.tokens) {
    ASSERT_EQ(token.likeliest.size(), 2u);
    EXPECT_EQ(token.likeliest[0].id, token.id);
  }
}

}  // namespace
}  // namespace paligemma
