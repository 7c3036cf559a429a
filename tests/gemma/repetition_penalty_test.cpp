#include "gemma/repetition_penalty.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/support/compare.h"

namespace paligemma {
namespace {

using namespace test;
using Numbers = std::vector<float>;

Numbers penalized(float penalty, const std::vector<TokenId>& history, Numbers logits) {
  repetition_penalty(penalty, history, {logits.data(), {static_cast<Index>(logits.size())}});
  return logits;
}

// docs/gemma/repetition_penalty.md, "By hand".
TEST(RepetitionPenalty, WorkedExample) {
  EXPECT_EQ(penalized(2, {1, 2, 1}, {3, 3, -3, -3}), (Numbers{3, 1.5, -6, -3}));
}

TEST(RepetitionPenalty, CountsEachTokenOnce) {
  EXPECT_EQ(penalized(2, {0, 0, 0, 0}, {8, 8}), (Numbers{4, 8}));
  EXPECT_EQ(penalized(2, {}, {8, 8}), (Numbers{8, 8}));
}

TEST(RepetitionPenalty, BelowOneMakesLikelier) {
  EXPECT_EQ(penalized(0.5f, {0, 1}, {1, -1}), (Numbers{2, -0.5f}));
}

TEST(RepetitionPenalty, LeavesWhatIsForbiddenForbidden) {
  EXPECT_EQ(penalized(2, {0}, {-INFINITY, 0}), (Numbers{-INFINITY, 0}));
  EXPECT_EQ(penalized(2, {1}, {1, 0}), (Numbers{1, 0}));
}

// An <image> token may have no row of its own.
TEST(RepetitionPenalty, PassesOverIdsThatTheRowHasNot) {
  EXPECT_EQ(penalized(2, {2, -1, 1000}, {1, 1}), (Numbers{1, 1}));
}

TEST(RepetitionPenalty, RejectsWhatIsNoPenalty) {
  for (const float penalty : {0.0f, -1.0f, NAN}) {
    EXPECT_THROW(penalized(penalty, {0}, {1}), ContractError) << penalty;
  }
}

}  // namespace
}  // namespace paligemma
