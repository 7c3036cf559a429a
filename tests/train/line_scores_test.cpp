#include "train/line_scores.h"

#include <gtest/gtest.h>

#include <cmath>

namespace paligemma {
namespace {

LineScores scores_of(const std::string& suffix, const std::string& answer) {
  LineScores scores;
  scores.add(suffix, answer);
  return scores;
}

TEST(LineScores, CountWordsWhateverTheirOrder) {
  const LineScores scores = scores_of("a red circle and a blue square", "a blue circle");
  EXPECT_EQ(scores.exact.value(), 0);
  EXPECT_DOUBLE_EQ(scores.f1.value(), 2.0 * 3 / 10);
  EXPECT_EQ(scores_of("a b", "b a").f1.value(), 1);
  EXPECT_EQ(scores_of("a b", "b a").exact.value(), 0);
  EXPECT_EQ(scores_of("a b", "a b").exact.value(), 1);
  EXPECT_DOUBLE_EQ(scores_of("a", "a a a").f1.value(), 2.0 * 1 / 4);  // each word once
  EXPECT_EQ(scores_of("", "").f1.value(), 1);
  EXPECT_EQ(scores_of("", "a").f1.value(), 0);
}

TEST(LineScores, AreMeans) {
  LineScores scores;
  EXPECT_TRUE(std::isnan(scores.exact.value()));
  scores.add("a", "a");
  scores.add("a", "b");
  EXPECT_EQ(scores.exact.value(), 0.5);
  EXPECT_EQ(scores.exact.count, 2);
  EXPECT_TRUE(std::isnan(scores.overlap.value()));  // no boxes were asked for
}

// Boxes of 100 x 100 bins, of which the second is half as far to the right.
TEST(LineScores, PairBoxesOfOneLabelByTheirOverlap) {
  const std::string one = "<loc0100><loc0100><loc0200><loc0200> cat",
                    half = "<loc0100><loc0150><loc0200><loc0250> cat",
                    dog = "<loc0100><loc0100><loc0200><loc0200> dog";
  EXPECT_EQ(scores_of(one, one).overlap.value(), 1);
  EXPECT_EQ(scores_of(one, one).recall50.value(), 1);
  EXPECT_DOUBLE_EQ(scores_of(one, half).overlap.value(), 1.0 / 3);
  EXPECT_EQ(scores_of(one, half).recall50.value(), 0);
  EXPECT_EQ(scores_of(one, dog).overlap.value(), 0);
  EXPECT_EQ(scores_of(one, "").overlap.value(), 0);
  EXPECT_EQ(scores_of(one + " ; " + half, half + " ; " + one).overlap.value(), 1);
  // One box stands for one thing.
  EXPECT_EQ(scores_of(one + " ; " + one, one).overlap.value(), 0.5);
  // What is found besides does not count here.
  EXPECT_EQ(scores_of(one, one + " ; " + half).overlap.value(), 1);
}

}  // namespace
}  // namespace paligemma
