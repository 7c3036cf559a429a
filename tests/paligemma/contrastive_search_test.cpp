#include "paligemma/contrastive_search.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "tests/support/golden.h"

namespace paligemma {
namespace {

using namespace test;
using Ids = std::vector<TokenId>;

bool take_all(const GeneratedToken&) { return true; }

class ContrastiveSearch : public ::testing::TestWithParam<int> {
 protected:
  std::vector<GeneratedToken> search(const GenerateOptions& options,
                                     const ContrastiveOptions& contrast) const {
    const Index T = m_.prefix();
    Session<Reference> session(m_.model.text, T, T + options.max_tokens, contrast.k);
    return contrastive_search(m_.model, m_.image_rows.view(), m_.golden.prompt_ids, session,
                              options, contrast, take_all, NoTap());
  }
  static Ids ids(const std::vector<GeneratedToken>& tokens) {
    Ids ids;
    for (const GeneratedToken& token : tokens) ids.push_back(token.id);
    return ids;
  }

  // What a pass over all of these tokens says: the hidden states, and the logits behind the last.
  struct Pass {
    RecordedTap hidden;
    std::vector<float> logits;
  };
  Pass pass(const Ids& all) const {
    const auto T = static_cast<Index>(all.size());
    Session<Reference> session(m_.model.text, T, T);
    Recorder recorder;
    forward(m_.model, all, m_.image_rows.view(), m_.prefix(), session, Tap(recorder));
    const auto logits = session.scratch.logits.view().row(0);
    return {recorder.taps["llm/final_norm"], {logits.data(), logits.data() + logits.size(0)}};
  }

  // The definition, without a cache and in double.
  Ids defined(Index steps, const ContrastiveOptions& contrast) const {
    Ids all = m_.golden.prompt_ids, answer;
    for (Index step = 0; step < steps; ++step) {
      const Pass before = pass(all);
      const auto V = static_cast<Index>(before.logits.size());
      const auto likeliest =
          likeliest_tokens(View<const float, 1>(before.logits.data(), {V}), contrast.k);
      std::map<double, TokenId> scored;
      for (const Choice& candidate : likeliest) {
        Ids longer = all;
        longer.push_back(candidate.id);
        const RecordedTap hidden = pass(longer).hidden;
        const auto last = hidden.row(hidden.rows() - 1);
        double likeness = -1;
        for (Index t = 0; t + 1 < hidden.rows(); ++t) {
          likeness = std::max(likeness, cosine(hidden.row(t), last));
        }
        scored[(1 - contrast.alpha) * std::exp(candidate.log_probability) -
               contrast.alpha * likeness] = candidate.id;
      }
      answer.push_back(scored.rbegin()->second);
      all.push_back(answer.back());
    }
    return answer;
  }
  static double cosine(const std::vector<float>& a, const std::vector<float>& b) {
    double ab = 0, aa = 0, bb = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
      ab += double{a[i]} * b[i], aa += double{a[i]} * a[i], bb += double{b[i]} * b[i];
    }
    return ab / std::sqrt(aa * bb);
  }

  const GoldenModel m_{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(PaliGemma, ContrastiveSearch, ::testing::Values(1, 2));

// docs/paligemma/contrastive_search.md, "By hand".
TEST_P(ContrastiveSearch, IsWhatTheDefinitionSays) {
  for (const ContrastiveOptions contrast : {ContrastiveOptions{0.6f, 4}, {0.3f, 3}, {1, 2}}) {
    EXPECT_EQ(ids(search({.max_tokens = 6}, contrast)), defined(6, contrast)) << contrast.alpha;
  }
}

TEST_P(ContrastiveSearch, WithoutAPenaltyOrAChoiceIsGreedy) {
  const auto& expected = m_.golden.generated_ids;
  const Ids greedy(expected.begin(), expected.begin() + 6);
  EXPECT_EQ(ids(search({.max_tokens = 6}, {0, 3})), greedy);
  EXPECT_EQ(ids(search({.max_tokens = 6}, {0.6f, 1})), greedy);
}

TEST_P(ContrastiveSearch, TellsHowLikelyItsTokensAre) {
  Ids all = m_.golden.prompt_ids;
  for (const auto& token : search({.max_tokens = 5, .likeliest = 2}, {1, 4})) {
    const auto logits = pass(all).logits;
    const View<const float, 1> row(logits.data(), {static_cast<Index>(logits.size())});
    EXPECT_NEAR(token.log_probability, log_probability(reference, row, token.id), 1e-4);
    ASSERT_EQ(token.likeliest.size(), 2u);
    EXPECT_EQ(token.likeliest[0].id, likeliest_tokens(row, 1)[0].id);
    all.push_back(token.id);
  }
}

TEST_P(ContrastiveSearch, RulesAndEndsHold) {
  const ContrastiveOptions contrast{0.6f, 4};
  const Ids free = ids(search({.max_tokens = 6}, contrast));
  const Ids ruled = ids(search({.max_tokens = 6, .rules = {.suppressed = {free[0]}}}, contrast));
  EXPECT_EQ(std::count(ruled.begin(), ruled.end(), free[0]), 0);
  const Ids other = ids(search({.max_tokens = 12, .rules = {.no_repeat_ngram = 1}}, {0.1f, 4}));
  EXPECT_EQ(std::set<TokenId>(other.begin(), other.end()).size(), other.size());
  EXPECT_EQ(ids(search({.max_tokens = 6, .end_tokens = {free[0]}}, contrast)), Ids{free[0]});
  // So few that may follow.
  std::set<TokenId> all_but_one;
  for (TokenId id = 0; id < m_.model.text.vocabulary; ++id) all_but_one.insert(id);
  all_but_one.erase(7);
  EXPECT_EQ(ids(search({.max_tokens = 2, .rules = {.suppressed = all_but_one}}, {1, 4})),
            (Ids{7, 7}));
}

TEST_P(ContrastiveSearch, WhoeverHearsATokenMayEndTheAnswer) {
  const Index T = m_.prefix();
  Session<Reference> session(m_.model.text, T, T + 6, 3);
  Recorder recorder;
  const auto tokens = contrastive_search(
      m_.model, m_.image_rows.view(), m_.golden.prompt_ids, session, {.max_tokens = 6}, {0.6f, 3},
      [](const GeneratedToken&) { return false; }, Tap(recorder));
  EXPECT_EQ(tokens.size(), 1u);
  EXPECT_EQ(recorder.taps.at("llm/final_norm").rows(), T) << "who listens hears the prefix";
}

}  // namespace
}  // namespace paligemma
