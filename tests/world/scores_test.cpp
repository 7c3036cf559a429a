#include "world/scores.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/support/world.h"

namespace paligemma::world {
namespace {

using test::thing_at;
using test::truth_with;

const Baseline& baseline() {
  static const Baseline counted(200);
  return counted;
}

Scores score_of(const Truth& truth, const Question& question, const std::string& said) {
  Scores scores;
  scores.add(truth, question, said, baseline());
  return scores;
}

// A red star on the left, another on the right, a blue cross below the first.
Truth three() {
  return truth_with({thing_at(160, 60, Color::red, Shape::star),
                     thing_at(60, 60, Color::red, Shape::star),
                     thing_at(60, 160, Color::blue, Shape::cross)});
}

std::string said_at(double x, double y, const std::string& label) {
  return location_tokens(thing_at(x, y, Color::red, Shape::star).box) + " " + label;
}

// docs/world/scores.md, "By hand".
TEST(Scores, WorkedExample) {
  // Two boxes of 40 x 40, one moved by 10: 30 x 40 in common.
  const CanvasBox a = {40, 40, 80, 80}, b = {40, 50, 80, 90};
  EXPECT_DOUBLE_EQ(intersection_over_union(a, b), 1200.0 / (1600 + 1600 - 1200));  // 0.6

  const Question caption = {Family::caption, "caption en", "a red star and a blue cross"};
  const Scores scores = score_of(three(), caption, "a red star and a pink cross and a red star");
  EXPECT_EQ(scores.caption.value(), 0);
  EXPECT_EQ(scores.pairs_right, 1);  // of 2 that are wanted and 3 that are named
  EXPECT_DOUBLE_EQ(scores.caption_f1(), 2 * 1.0 / (2 + 3));
}

TEST(Scores, AreNaNForNothing) {
  const Scores nothing;
  EXPECT_TRUE(std::isnan(nothing.caption.value()));
  EXPECT_TRUE(std::isnan(nothing.caption_f1()));
  EXPECT_TRUE(std::isnan(nothing.overlap.value()));
  EXPECT_TRUE(std::isnan(nothing.mask_overlap.value()));
  EXPECT_TRUE(nothing.answer_by.empty());
}

TEST(Scores, OfBoxesThatDoNotMeetAreZero) {
  const CanvasBox a = {10, 10, 20, 20};
  EXPECT_EQ(intersection_over_union(a, a), 1);
  EXPECT_EQ(intersection_over_union(a, {10, 20, 20, 30}), 0) << "a common side";
  EXPECT_EQ(intersection_over_union(a, {30, 30, 40, 40}), 0) << "two negative sides";
  EXPECT_DOUBLE_EQ(intersection_over_union(a, {12, 10, 17, 20}), 0.5) << "inside";
  EXPECT_DOUBLE_EQ(intersection_over_union({12, 10, 17, 20}, a), 0.5);
  EXPECT_EQ(intersection_over_union(a, {10, 10, 10, 20}), 0);
}

TEST(Scores, CountBinsTo1023) {
  EXPECT_EQ(canvas_box({{0, 341, 682, 1023}, {}, ""}),
            (CanvasBox{0, 341 / 1023.0 * 224, 682 / 1023.0 * 224, 224}));
}

TEST(Templates, LeaveOutColorsAndShapes) {
  EXPECT_EQ(template_of("answer en what color is the star?"), "answer en what color is the *?");
  EXPECT_EQ(template_of("answer en what shape is red?"), "answer en what shape is *?");
  EXPECT_EQ(template_of("answer en is there an orange star?"), "answer en is there a * *?");
  EXPECT_EQ(template_of("answer en is there a red star?"), "answer en is there a * *?");
  EXPECT_EQ(template_of("answer en how many crosses are there?"),
            "answer en how many * are there?");
  EXPECT_EQ(template_of("answer en how many shapes are there?"),
            "answer en how many shapes are there?");
  EXPECT_EQ(template_of("answer en is the star left of the red cross?"),
            "answer en is the * left of the * *?");
  EXPECT_EQ(template_of("caption en"), "caption en");
}

// Counted again, with no code of the baseline's.
TEST(Baselines, GiveTheAnswerThatIsGivenMostOften) {
  constexpr int kScenes = 200;
  std::map<std::string, std::map<std::string, int>> counts;
  for (std::uint64_t i = 0; i < kScenes; ++i) {
    const Truth truth = truth_of(random_scene(Split::train, i));
    for (const Question& q : evaluation_questions(truth, Split::train, i)) {
      ++counts[template_of(q.prompt)][q.answer];
    }
  }
  EXPECT_GT(counts.size(), 15u);
  for (const auto& [asked, answers] : counts) {
    const std::string& guess = baseline().answer(asked);
    ASSERT_TRUE(answers.contains(guess)) << asked;
    for (const auto& [answer, times] : answers) EXPECT_GE(answers.at(guess), times) << asked;
  }
  EXPECT_EQ(baseline().answer("never asked"), "");
}

TEST(Baselines, DoBetterThanNothingAndWorseThanKnowing) {
  Scores blind;
  for (std::uint64_t i = 0; i < 100; ++i) {
    const Truth truth = truth_of(random_scene(Split::test, i));
    for (const Question& q : evaluation_questions(truth, Split::test, i)) {
      blind.add(truth, q, baseline().answer(q.prompt), baseline());
    }
  }
  EXPECT_GT(blind.answer.value(), 0.2);
  EXPECT_LT(blind.answer.value(), 0.6);
  EXPECT_EQ(blind.answer.value(), blind.answer_baseline.value());
  EXPECT_EQ(blind.caption.value(), blind.caption_baseline.value());
  EXPECT_LT(blind.caption.value(), 0.3);
}

TEST(Scores, AreFullForTheRightAnswers) {
  Scores scores;
  for (const Split split : {Split::test, Split::held_out}) {
    for (std::uint64_t i = 0; i < 40; ++i) {
      const Truth truth = truth_of(random_scene(split, i));
      for (const Question& q : evaluation_questions(truth, split, i)) {
        std::string said = q.answer;
        for (auto at = said.find('{'); at != said.npos; at = said.find('{')) {
          std::string codes;
          for (int k = 0; k < 16; ++k) codes += "<seg012>";
          said.replace(at, 3, codes);
        }
        scores.add(truth, q, said, baseline());
      }
    }
  }
  EXPECT_EQ(scores.caption.value(), 1);
  EXPECT_EQ(scores.caption_f1(), 1);
  EXPECT_EQ(scores.answer.value(), 1);
  EXPECT_EQ(scores.answer_by.size(), 5u);
  for (const auto& [family, mean] : scores.answer_by) EXPECT_EQ(mean.value(), 1) << family;
  EXPECT_EQ(scores.ocr.value(), 1);
  EXPECT_GT(scores.overlap.value(), 0.98) << "all that is lost is rounding to 1024 places";
  EXPECT_EQ(scores.recall50.value(), 1);
  EXPECT_EQ(scores.recall75.value(), 1);
  EXPECT_EQ(scores.absent.value(), 1);
  EXPECT_EQ(scores.invalid.value(), 0);
}

TEST(Scores, OfAnswersAreExactOrNothing) {
  const Question q = {Family::color, "answer en what color is the cross?", "blue"};
  EXPECT_EQ(score_of(three(), q, "blue").answer.value(), 1);
  for (const char* wrong : {"", "Blue", "blue ", "blue cross", "red"}) {
    const Scores scores = score_of(three(), q, wrong);
    EXPECT_EQ(scores.answer.value(), 0) << wrong;
    EXPECT_EQ(scores.answer_by.at("color").value(), 0);
  }
  const Question reading = {Family::ocr, "ocr", "A7"};
  EXPECT_EQ(score_of(three(), reading, "A7").ocr.value(), 1);
  EXPECT_EQ(score_of(three(), reading, "A").ocr.value(), 0);
}

TEST(Scores, OfCaptionsDoNotMindTheOrderOfPairs) {
  const Question q = {Family::caption, "caption en", "a red star and a red star and a blue cross"};
  const auto f1 = [&](const std::string& said) { return score_of(three(), q, said).caption_f1(); };
  EXPECT_EQ(f1("a blue cross and a red star and a red star"), 1);
  EXPECT_DOUBLE_EQ(f1("a red star and a blue cross"), 2 * 2.0 / 5) << "one of two is missing";
  EXPECT_EQ(f1("no shapes"), 0);
  EXPECT_EQ(f1("star red cross blue"), 0) << "a color stands before its shape";
  EXPECT_EQ(f1("a red large star"), 0);
  EXPECT_TRUE(std::isnan(
      score_of(three(), {Family::caption, "caption en", "no shapes"}, "no shapes").caption_f1()));
}

TEST(Scores, MatchByFallingOverlap) {
  const Truth truth = three();
  const Question q = {Family::detect, "detect red star", "", {1, 0}};  // at x = 60 and x = 160
  const auto matched = [&](const std::string& said) {
    return match(truth, q, parse_detections(said));
  };
  const auto star = [](double x) { return said_at(x, 60, "red star"); };
  EXPECT_EQ(matched(star(60) + " ; " + star(160)), (std::vector<int>{0, 1}));
  EXPECT_EQ(matched(star(160) + " ; " + star(60)), (std::vector<int>{1, 0}));
  EXPECT_EQ(matched(star(70) + " ; " + star(62)), (std::vector<int>{1, -1})) << "the nearer one";
  EXPECT_EQ(matched(star(70)), (std::vector<int>{0, -1}));
  EXPECT_EQ(matched(""), (std::vector<int>{-1, -1}));

  // Two wanted things that overlap one box: only one of them has it.
  const Truth close = truth_with(
      {thing_at(60, 60, Color::red, Shape::star), thing_at(80, 60, Color::red, Shape::star)});
  const Question both = {Family::detect, "detect star", "", {0, 1}};
  const auto one = parse_detections(said_at(75, 60, "star"));
  EXPECT_EQ(match(close, both, one), (std::vector<int>{-1, 0}));
}

TEST(Scores, MatchWhatWasAskedForOnly) {
  const Truth truth = three();
  const Question pair = {Family::detect, "detect red star", "", {1, 0}};
  const Question shape = {Family::detect, "detect star", "", {1, 0}};
  const Question two = {Family::detect, "detect blue cross ; red star", "", {2, 1, 0}};
  const auto matched = [&](const Question& q, double x, double y, const std::string& label) {
    return match(truth, q, parse_detections(said_at(x, y, label)));
  };
  EXPECT_EQ(matched(pair, 60, 60, "red star"), (std::vector<int>{0, -1}));
  EXPECT_EQ(matched(pair, 60, 60, "star"), (std::vector<int>{-1, -1})) << "another phrase";
  EXPECT_EQ(matched(pair, 60, 60, "blue cross"), (std::vector<int>{-1, -1}));
  EXPECT_EQ(matched(shape, 60, 60, "star"), (std::vector<int>{0, -1}));
  EXPECT_EQ(matched(two, 60, 160, "blue cross"), (std::vector<int>{0, -1, -1}));
  EXPECT_EQ(matched(two, 60, 160, "red star"), (std::vector<int>{-1, -1, -1}))
      << "the place is right, the name is not";
}

TEST(Scores, OfDetectionsAreAboutWhatIsThere) {
  const Question q = {Family::detect, "detect red star", "", {1, 0}};
  // One is found exactly but for rounding; the other's box is moved by 10 of 40, so 0.6.
  const Scores scores =
      score_of(three(), q, said_at(60, 60, "red star") + " ; " + said_at(170, 60, "red star"));
  EXPECT_EQ(scores.overlap.count, 2u);
  EXPECT_NEAR(scores.overlap.value(), (1 + 0.6) / 2, 0.02);
  EXPECT_EQ(scores.recall50.value(), 1);
  EXPECT_EQ(scores.recall75.value(), 0.5);
  EXPECT_EQ(scores.invalid.value(), 0);
  EXPECT_EQ(scores.absent.count, 0u);

  const Scores nothing = score_of(three(), q, "");
  EXPECT_EQ(nothing.overlap.value(), 0);
  EXPECT_EQ(nothing.overlap.count, 2u);
  EXPECT_EQ(nothing.invalid.value(), 0) << "an empty answer is one";
}

TEST(Scores, OfAbsentThingsAreAboutFindingNothing) {
  const Question absent = {Family::detect, "detect pink heart", ""};
  EXPECT_EQ(score_of(three(), absent, "").absent.value(), 1);
  EXPECT_EQ(score_of(three(), absent, said_at(60, 60, "pink heart")).absent.value(), 0);
  EXPECT_EQ(score_of(three(), absent, "").overlap.count, 0u);

  const Question one_of_two = {Family::detect, "detect pink heart ; blue cross", "", {2}};
  const Scores scores = score_of(three(), one_of_two, said_at(60, 160, "blue cross"));
  EXPECT_EQ(scores.absent.count, 1u);
  EXPECT_EQ(scores.absent.value(), 1);
  EXPECT_EQ(scores.recall75.value(), 1);
}

TEST(Scores, KnowWhatIsNoAnswerToDetect) {
  const Question q = {Family::detect, "detect red star", "", {1}};
  const std::string box = "<loc0001><loc0002><loc0003><loc0004>";
  for (const std::string& valid : {std::string(), box + " red star", box + " a ; " + box + " b"}) {
    EXPECT_EQ(score_of(three(), q, valid).invalid.value(), 0) << valid;
  }
  for (const std::string& bad :
       {std::string("red star"), std::string("no"), box, box + "red star", box + " red star ;",
        box + " red star;" + box + " red star", " " + box + " red star",
        box.substr(9) + " red star", box + "<loc0005> red star", "<loc001>" + box + " red star",
        box + "<seg001> red star", box + " Red"}) {
    EXPECT_EQ(score_of(three(), q, bad).invalid.value(), 1) << bad;
  }
}

TEST(Scores, KnowWhatIsNoAnswerToSegment) {
  const Question q = {Family::segment, "segment red star", "", {1}};
  const std::string box = "<loc0001><loc0002><loc0003><loc0004>";
  std::string codes;
  for (int i = 0; i < 15; ++i) codes += "<seg127>";
  const auto invalid = [&](const std::string& said) {
    return score_of(three(), q, said).invalid.value();
  };
  EXPECT_EQ(invalid(""), 0);
  EXPECT_EQ(invalid(box + codes + "<seg000> red star"), 0);
  EXPECT_EQ(invalid(box + codes + " red star"), 1) << "15 codes";
  EXPECT_EQ(invalid(box + " red star"), 1) << "no codes";
  EXPECT_EQ(invalid(box + codes + "<seg000><seg001> red star"), 1) << "17 codes";
  EXPECT_EQ(score_of(three(), q, "").overlap.count, 0u) << "boxes of masks are not counted";
}

TEST(Scores, OfPartsAddUp) {
  Scores all, first, second;
  for (std::uint64_t i = 0; i < 20; ++i) {
    const Truth truth = truth_of(random_scene(Split::test, i));
    for (const Question& q : evaluation_questions(truth, Split::test, i)) {
      const std::string said = i % 3 == 0 ? "a red star" : q.answer;
      all.add(truth, q, said, baseline());
      (i % 2 == 0 ? first : second).add(truth, q, said, baseline());
    }
  }
  first.mask_overlap.add(0.5);
  all.mask_overlap.add(0.5);
  first.scenes = second.scenes = 10;
  all.scenes = 20;
  first.add(second);
  const auto same = [](const Mean& a, const Mean& b) {
    EXPECT_EQ(a.count, b.count);
    EXPECT_NEAR(a.sum, b.sum, 1e-12);
    EXPECT_GT(a.count, 0u);
  };
  EXPECT_EQ(first.scenes, 20u);
  for (const auto member :
       {&Scores::caption, &Scores::caption_baseline, &Scores::answer, &Scores::answer_baseline,
        &Scores::ocr, &Scores::overlap, &Scores::recall50, &Scores::recall75, &Scores::invalid,
        &Scores::absent, &Scores::mask_overlap}) {
    same(first.*member, all.*member);
  }
  ASSERT_EQ(first.answer_by.size(), all.answer_by.size());
  for (const auto& [family, mean] : all.answer_by) same(first.answer_by.at(family), mean);
  EXPECT_EQ(first.caption_f1(), all.caption_f1());
  EXPECT_EQ(first.pairs_named, all.pairs_named);
}

}  // namespace
}  // namespace paligemma::world
