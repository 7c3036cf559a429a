#include "gemma/no_repeat_ngram.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <vector>

namespace paligemma {
namespace {

using Ids = std::vector<TokenId>;

// Of ten tokens.
std::set<TokenId> forbidden(Index n, const Ids& history) {
  std::vector<float> logits(10, 1.0f);
  no_repeat_ngram(n, history, {logits.data(), {10}});
  std::set<TokenId> ids;
  for (TokenId id = 0; id < 10; ++id) {
    const float logit = logits[static_cast<std::size_t>(id)];
    EXPECT_TRUE(logit == -INFINITY || logit == 1) << id;
    if (logit == -INFINITY) ids.insert(id);
  }
  return ids;
}
using Set = std::set<TokenId>;

// docs/gemma/no_repeat_ngram.md, "By hand".
TEST(NoRepeatNgram, WorkedExample) {
  const Ids history{3, 5, 7, 3, 5, 8, 3, 5};
  EXPECT_EQ(forbidden(3, history), (Set{7, 8}));
  EXPECT_EQ(forbidden(2, history), (Set{7, 8}));
  EXPECT_EQ(forbidden(4, history), (Set{}));
}

TEST(NoRepeatNgram, OfOneNoTokenComesTwice) { EXPECT_EQ(forbidden(1, {4, 2, 4}), (Set{2, 4})); }

TEST(NoRepeatNgram, AShortHistoryForbidsNothing) {
  EXPECT_EQ(forbidden(3, {}), Set{});
  EXPECT_EQ(forbidden(3, {1, 1}), Set{});
  EXPECT_EQ(forbidden(3, {1, 1, 1}), Set{1});
  EXPECT_EQ(forbidden(100, {1, 1, 1}), Set{});
}

// The last n - 1 tokens themselves are no n-gram yet.
TEST(NoRepeatNgram, LooksAtWholeNgramsOnly) {
  EXPECT_EQ(forbidden(2, {6, 1, 6}), Set{1});
  EXPECT_EQ(forbidden(2, {6, 1, 2, 1}), Set{2});
}

TEST(NoRepeatNgram, PassesOverIdsThatTheRowHasNot) {
  EXPECT_EQ(forbidden(2, {1, 10, 1, -1, 1}), Set{});
}

TEST(NoRepeatNgram, RejectsNoLength) {
  EXPECT_THROW(forbidden(0, {1}), ContractError);
  EXPECT_THROW(forbidden(-1, {1}), ContractError);
}

}  // namespace
}  // namespace paligemma
