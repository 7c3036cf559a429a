#include "train/lessons.h"

#include <gtest/gtest.h>

#include "tensor/errors.h"
#include "tests/support/error_text.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/told_learner.h"

namespace paligemma {
namespace {

using namespace test;

// The golden lines teach 14, 2, 11 and 6 tokens.
struct Lines : ToldRun {
  LineOrder in_order(Index batch, Index accumulate = 1, bool skip_bad = false) const {
    return {batch, accumulate, false, skip_bad, 0};
  }
};

// How many tokens each batch of a step teaches.
std::vector<Index> tokens_of(Lessons& lessons, Index step) {
  std::vector<Index> all;
  for (const TrainingBatch& batch : lessons.of_step(step)) {
    all.push_back(std::ssize(batch.next.rows));
  }
  return all;
}
using Tokens = std::vector<Index>;

// docs/train/loop.md, "By hand": lines of 2, 6 and 14 learned tokens, two a step.
TEST(LineLessons, WorkedExample) {
  const Lines of;
  const TemporaryFolder folder;
  Examples lines =
      of.lines(lines_of(of.golden, folder, {"red", "left a an and", "two boats near river"}));
  LineLessons lessons(of.in_order(1, 2), lines, nullptr);
  EXPECT_EQ(tokens_of(lessons, 1), (Tokens{2, 6}));
  EXPECT_EQ(tokens_of(lessons, 2), (Tokens{14, 2}));
  const auto first = lessons.of_step(1), second = lessons.of_step(2);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(first[i].number, i);
    EXPECT_EQ(second[i].number, 2 + i);
    for (const float weight : first[i].next.weights) EXPECT_EQ(weight, 1.0f / 8);
    for (const float weight : second[i].next.weights) EXPECT_EQ(weight, 1.0f / 16);
    EXPECT_EQ(first[i].segments.size(), 1u);
    EXPECT_TRUE(first[i].shown.empty());
    EXPECT_FALSE(first[i].dense);
  }
  EXPECT_EQ(lessons.skipped(), 0);
}

TEST(LineLessons, AreAsManyLinesAsABatchHas) {
  const Lines of;
  Examples lines = of.lines();
  LineLessons lessons(of.in_order(3, 2), lines, nullptr);
  EXPECT_EQ(tokens_of(lessons, 1), (Tokens{14 + 2 + 11, 6 + 14 + 2}));
  EXPECT_EQ(tokens_of(lessons, 2), (Tokens{11 + 6 + 14, 2 + 11 + 6}));
  EXPECT_EQ(lessons.of_step(2)[1].segments.size(), 3u);
  EXPECT_EQ(lessons.of_step(2)[1].pixels.view().size(0), 3);
}

// So that a run may go on anywhere.
TEST(LineLessons, DependOnTheStepAndTheSeedAlone) {
  const Lines of;
  const auto targets_of = [&](LineOrder how, std::initializer_list<Index> steps) {
    Examples lines = of.lines();
    LineLessons lessons(how, lines, nullptr);
    std::vector<TokenId> last;
    for (const Index step : steps) {
      last.clear();
      for (const TrainingBatch& batch : lessons.of_step(step)) {
        last.insert(last.end(), batch.next.targets.begin(), batch.next.targets.end());
      }
    }
    return last;
  };
  const LineOrder one{2, 2, true, false, 1}, two{2, 2, true, false, 2}, none{2, 2, false, false, 1};
  EXPECT_EQ(targets_of(one, {3}), targets_of(one, {1, 2, 3}));
  EXPECT_EQ(targets_of(one, {3}), targets_of(one, {5, 3}));
  EXPECT_NE(targets_of(one, {3}), targets_of(two, {3}));
  EXPECT_NE(targets_of(one, {3}), targets_of(none, {3}));
}

// The other lines come when they would have come, and batches keep their numbers.
TEST(LineLessons, PassOverPicturesThatCannotBeDecoded) {
  const Lines of;
  const TemporaryFolder folder;
  Examples lines = of.lines(lines_with_a_bad_picture(of.golden, folder));
  LineLessons lessons(of.in_order(1, 2, true), lines, nullptr);
  EXPECT_EQ(tokens_of(lessons, 1), (Tokens{14, 2}));
  EXPECT_EQ(lessons.skipped(), 0);
  EXPECT_EQ(tokens_of(lessons, 2), (Tokens{6}));
  EXPECT_EQ(lessons.skipped(), 1);
  EXPECT_EQ(lessons.of_step(2)[0].number, 2u);
  EXPECT_EQ(lessons.of_step(3)[1].number, 5u);
  EXPECT_EQ(lessons.of_step(2)[0].next.weights[0], 1.0f / 6);
}

TEST(LineLessons, RefusePicturesThatCannotBeDecoded) {
  const Lines of;
  const TemporaryFolder folder;
  Examples lines = of.lines(lines_with_a_bad_picture(of.golden, folder));
  LineLessons strict(of.in_order(1, 2), lines, nullptr),
      alone(of.in_order(1, 1, true), lines, nullptr);
  EXPECT_EQ(strict.of_step(1).size(), 2u);
  EXPECT_TRUE(holds(error_text<ImageError>([&] { strict.of_step(2); }), "2.png"));
  EXPECT_TRUE(holds(error_text<ImageError>([&] { alone.of_step(3); }), "step 3: none of its"));
}

// Each token counts alike, however many lines are asked at once, and is not weighted.
TEST(LineLessons, AreValidatedByTheMeanOverTokens) {
  for (const Index batch : {1, 3, 4}) {
    Lines of;
    Examples lines = of.lines(), validation = of.lines();
    of.learner.loss_of = [](Index learned) { return static_cast<double>(learned); };
    LineLessons lessons(of.in_order(batch, 2), lines, &validation);
    const double expected = (14.0 * 14 + 2 * 2 + 11 * 11 + 6 * 6) / (14 + 2 + 11 + 6);
    EXPECT_DOUBLE_EQ(lessons.validation_loss(of.learner).value_or(0), expected);
    EXPECT_EQ(of.learner.asked.size(), static_cast<std::size_t>((4 + batch - 1) / batch));
    EXPECT_TRUE(of.learner.learned.empty());
  }
}

TEST(LineLessons, MayHaveNoValidation) {
  Lines of;
  Examples lines = of.lines();
  EXPECT_EQ(LineLessons(of.in_order(2), lines, nullptr).validation_loss(of.learner), std::nullopt);
  EXPECT_TRUE(of.learner.asked.empty());
}

TEST(LineLessons, AreValidatedByPicturesThatCanBeDecoded) {
  Lines of;
  const TemporaryFolder folder;
  Examples lines = of.lines();
  Examples validation = of.lines(lines_with_a_bad_picture(of.golden, folder));
  of.learner.loss_of = [](Index learned) { return static_cast<double>(learned); };
  for (const Index batch : {1, 2}) {
    LineLessons lessons(of.in_order(batch, 1, true), lines, &validation);
    EXPECT_DOUBLE_EQ(lessons.validation_loss(of.learner).value_or(0),
                     (14.0 * 14 + 2 * 2 + 6 * 6) / (14 + 2 + 6));
    EXPECT_EQ(lessons.skipped(), 1);
  }
  LineLessons strict(of.in_order(2), lines, &validation);
  EXPECT_TRUE(holds(error_text<ImageError>([&] { strict.validation_loss(of.learner); }), "2.png"));
  Examples none = of.lines(lines_of(of.golden, folder, {"red"}, "2.png"));
  LineLessons of_none(of.in_order(2, 1, true), lines, &none);
  EXPECT_TRUE(holds(error_text<ImageError>([&] { of_none.validation_loss(of.learner); }),
                    "none of the validation's"));
}

}  // namespace
}  // namespace paligemma
