#include "world/curriculum.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "tests/support/world.h"

namespace paligemma::world {
namespace {

using test::thing_at;
using test::truth_with;

// Two different things far apart: all can be asked.
Truth all_askable(const std::string& text) {
  return truth_with(
      {thing_at(160, 170, Color::red, Shape::star), thing_at(40, 40, Color::blue, Shape::cross)},
      text);
}

std::map<Family, double> training_shares(const Truth& truth, int draws) {
  Random random(1);
  std::map<Family, double> shares;
  for (int i = 0; i < draws; ++i) {
    for (const Question& q : training_questions(truth, 1, random)) shares[q.family] += 1.0 / draws;
  }
  return shares;
}

std::vector<Family> families_of(const std::vector<Question>& questions) {
  std::vector<Family> families;
  for (const Question& q : questions) families.push_back(q.family);
  return families;
}

// Only relations can fail, if chance picks the same thing twice or nothing is on that side; the
// others are asked in the proportions of their weights.
TEST(Curriculum, TrainsInItsProportions) {
  constexpr int kDraws = 20000;
  auto shares = training_shares(all_askable("A7"), kDraws);
  const std::map<Family, double> weights = {{Family::caption, 0.18},   {Family::color, 0.09},
                                            {Family::shape, 0.09},     {Family::count, 0.08},
                                            {Family::existence, 0.08}, {Family::detect, 0.22},
                                            {Family::segment, 0.12},   {Family::ocr, 0.35}};
  const double whole = 1.21;  // of these weights
  const double others = 1 - shares[Family::relation];
  for (const auto& [family, weight] : weights) {
    EXPECT_NEAR(shares[family] / others, weight / whole, 5 * 0.5 / std::sqrt(kDraws))
        << name_of(family);
  }
  EXPECT_GT(shares[Family::relation], 0.02);
  EXPECT_LT(shares[Family::relation], 0.1 / 1.31);
}

TEST(Curriculum, SeldomAsksToReadWhereThereIsNothingToRead) {
  auto shares = training_shares(all_askable(""), 5000);
  EXPECT_GT(shares[Family::ocr], 0.01);
  EXPECT_LT(shares[Family::ocr], 0.06);
}

TEST(Curriculum, AsksNothingTwice) {
  Random random(2);
  for (int count : {0, 1, 4, 30}) {
    for (int i = 0; i < 50; ++i) {
      std::set<std::string> prompts;
      const auto questions = training_questions(all_askable("B"), count, random);
      for (const Question& q : questions) prompts.insert(q.prompt);
      EXPECT_EQ(prompts.size(), questions.size());
      EXPECT_LE(questions.size(), static_cast<std::size_t>(count));
      if (count <= 4) {
        EXPECT_EQ(questions.size(), static_cast<std::size_t>(count));
      }
    }
  }
}

TEST(Curriculum, EndsWhereThereIsLittleToAsk) {
  Random random(3);
  const auto questions = training_questions(Truth{}, 1000, random);
  EXPECT_GT(questions.size(), 4u);
  EXPECT_LE(questions.size(), 40u);
}

TEST(Curriculum, EvaluatesOneQuestionOfEachTask) {
  using F = Family;
  const Truth truth = all_askable("A7");
  const std::vector<Family> turns = {F::color, F::shape, F::count, F::existence, F::relation};
  for (std::uint64_t index = 0; index < 10; ++index) {
    EXPECT_EQ(families_of(evaluation_questions(truth, Split::test, index)),
              (std::vector<Family>{F::caption, turns[index % 5], F::detect, F::segment, F::ocr}))
        << index;
  }
  EXPECT_EQ(families_of(evaluation_questions(all_askable(""), Split::test, 0)),
            (std::vector<Family>{F::caption, F::color, F::detect, F::segment}));
}

// What cannot be asked makes room for the next family.
TEST(Curriculum, EvaluatesPicturesOfNothing) {
  using F = Family;
  for (std::uint64_t index = 0; index < 10; ++index) {
    const Family turn = index % 5 == 3 ? F::existence : F::count;
    EXPECT_EQ(families_of(evaluation_questions(Truth{}, Split::test, index)),
              (std::vector<Family>{F::caption, turn, F::detect}))
        << index;
  }
}

TEST(Curriculum, EvaluatesTheSameUnderTheSameNumber) {
  const Truth truth = all_askable("A7");
  std::set<std::string> prompts;
  for (std::uint64_t index = 0; index < 20; ++index) {
    const auto first = evaluation_questions(truth, Split::test, index);
    const auto again = evaluation_questions(truth, Split::test, index);
    ASSERT_EQ(first.size(), again.size());
    for (std::size_t i = 0; i < first.size(); ++i) EXPECT_EQ(first[i].prompt, again[i].prompt);
    for (const Question& q : first) prompts.insert(q.prompt);
  }
  EXPECT_GT(prompts.size(), 15u);
}

TEST(Curriculum, EvaluatesHeldOutPairsInTheirSplit) {
  for (std::uint64_t index = 0; index < 60; ++index) {
    const Truth truth = truth_of(random_scene(Split::held_out, index));
    const auto is_held_out = [](const Thing& t) { return held_out(t.color, t.shape); };
    const auto pair = std::find_if(truth.things.begin(), truth.things.end(), is_held_out);
    ASSERT_NE(pair, truth.things.end());
    for (const Question& q : evaluation_questions(truth, Split::held_out, index)) {
      if (q.family != Family::detect && q.family != Family::segment) continue;
      const auto at = static_cast<std::size_t>(pair - truth.things.begin());
      const bool named = q.prompt.find(name_of(pair->shape)) != q.prompt.npos;
      const bool found = std::find(q.things.begin(), q.things.end(), at) != q.things.end();
      EXPECT_EQ(named, found) << q.prompt;
      if (q.family == Family::segment) {
        EXPECT_TRUE(found) << q.prompt;
      }
    }
  }
}

TEST(Curriculum, AsksEveryFamilyAboutPicturesFromElsewhere) {
  using F = Family;
  EXPECT_EQ(families_of(all_questions(all_askable(""), 3)),
            (std::vector<Family>{F::caption, F::color, F::shape, F::count, F::existence,
                                 F::relation, F::detect}));
  EXPECT_EQ(families_of(all_questions(all_askable("A"), 3)).back(), F::ocr);
  EXPECT_EQ(families_of(all_questions(Truth{}, 3)),
            (std::vector<Family>{F::caption, F::count, F::existence, F::detect}));
}

}  // namespace
}  // namespace paligemma::world
