#include "tiny/dense_targets.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "tests/support/compare.h"
#include "tests/support/world.h"

namespace paligemma::tiny {
namespace {

using namespace test;
using world::CanvasBox;
using world::Color;
using world::Shape;
using world::Split;
using world::Thing;
using world::Truth;

constexpr TokenId kNoShape = 6, kNoColor = 8, kNoCharacter = 36;

std::size_t patch(Index row, Index column, Index grid = 8) {
  return static_cast<std::size_t>(row * grid + column);
}
std::vector<double> box_of(const std::vector<float>& boxes, std::size_t patch) {
  return {boxes.begin() + static_cast<std::ptrdiff_t>(4 * patch),
          boxes.begin() + static_cast<std::ptrdiff_t>(4 * patch + 4)};
}

Truth writing(const std::string& text, const std::vector<CanvasBox>& characters) {
  Truth truth = truth_with({}, text);
  truth.writing->characters = characters;
  return truth;
}

// ---- by hand: of 8 x 8 patches each has 28 units of the canvas, and is 1 wide ---------------------------

TEST(PatchTruth, OfAnEmptyPictureIsNothing) {
  const PatchTruth patches = patch_truth(Truth{}, 8);
  EXPECT_EQ(patches.shape, std::vector<TokenId>(64, kNoShape));
  EXPECT_EQ(patches.color, std::vector<TokenId>(64, kNoColor));
  EXPECT_EQ(patches.character, std::vector<TokenId>(64, kNoCharacter));
  EXPECT_EQ(patches.box.size(), 256u);
  EXPECT_EQ(patches.character_box.size(), 256u);
}

// A box as large as a patch, and on it, touches it alone: the neighbours' edges do not count.
TEST(PatchTruth, OfABoxOnOnePatchIsThere) {
  const Truth truth = truth_with({{Color::blue, Shape::star, {56, 28, 84, 56}}});
  const PatchTruth patches = patch_truth(truth, 8);
  for (std::size_t i = 0; i < 64; ++i) {
    EXPECT_EQ(patches.shape[i], i == patch(2, 1) ? TokenId{3} : kNoShape) << i;
    EXPECT_EQ(patches.color[i], i == patch(2, 1) ? TokenId{4} : kNoColor) << i;
  }
  EXPECT_EQ(box_of(patches.box, patch(2, 1)), (std::vector<double>{0, 0, 0.5, 0.5}));
}

// Seen from a patch: how far down and to the right the middle is, then half of the height and of the width.
TEST(PatchTruth, SeesABoxFromEachPatch) {
  const Truth truth = truth_with({{Color::red, Shape::heart, {0, 0, 56, 112}}});
  const PatchTruth patches = patch_truth(truth, 8);
  EXPECT_EQ(std::count(patches.shape.begin(), patches.shape.end(), 4), 8);
  EXPECT_EQ(box_of(patches.box, patch(0, 0)), (std::vector<double>{0.5, 1.5, 1, 2}));
  EXPECT_EQ(box_of(patches.box, patch(1, 3)), (std::vector<double>{-0.5, -1.5, 1, 2}));
}

// The patch (3, 3) is touched by both. The small one's middle is 1 away, which is all of its half; the large one's is
// 2 away, half of its half.
TEST(PatchTruth, OfTwoBoxesIsTheOneWhoseMiddleIsNearestInHalvesOfIt) {
  const Thing small{Color::red, Shape::circle, {98 - 28, 126 - 28, 98 + 28, 126 + 28}};
  const Thing large{Color::black, Shape::cross, {98 - 112, 42 - 112, 98 + 112, 42 + 112}};
  for (const bool swaps : {false, true}) {
    const Truth truth = swaps ? truth_with({large, small}) : truth_with({small, large});
    const PatchTruth patches = patch_truth(truth, 8);
    EXPECT_EQ(patches.shape[patch(3, 3)], 5);
    EXPECT_EQ(patches.color[patch(3, 3)], 7);
    EXPECT_EQ(box_of(patches.box, patch(3, 3)), (std::vector<double>{0, -2, 4, 4}));
    EXPECT_EQ(patches.shape[patch(3, 4)], 0);
  }
}

TEST(PatchTruth, OfTwoThatAreAsNearIsTheFirst) {
  const CanvasBox box{56, 28, 84, 56};
  const Truth truth =
      truth_with({{Color::green, Shape::square, box}, {Color::pink, Shape::triangle, box}});
  EXPECT_EQ(patch_truth(truth, 8).shape[patch(2, 1)], 1);
}

// A line without height, a quarter of a patch off the middle, is as far as in halves of a pixel, not infinitely far.
TEST(PatchTruth, OfALineIsThere) {
  const Truth truth = truth_with({{Color::green, Shape::square, {77, 28, 77, 56}}});
  const PatchTruth patches = patch_truth(truth, 8);
  EXPECT_EQ(patches.shape[patch(2, 1)], 1);
  EXPECT_EQ(box_of(patches.box, patch(2, 1)), (std::vector<double>{0.25, 0, 0, 0.5}));
}

TEST(PatchTruth, HasLettersBeforeDigits) {
  const std::string text = "AZ09";
  std::vector<CanvasBox> boxes;
  for (int i = 0; i < 4; ++i) boxes.push_back({0, 28.0 * i, 28, 28.0 * (i + 1)});
  const PatchTruth patches = patch_truth(writing(text, boxes), 8);
  const std::vector<TokenId> expected{0, 25, 26, 35};
  for (Index i = 0; i < 4; ++i) {
    EXPECT_EQ(patches.character[patch(0, i)], expected[static_cast<std::size_t>(i)]);
    EXPECT_EQ(box_of(patches.character_box, patch(0, i)), (std::vector<double>{0, 0, 0.5, 0.5}));
  }
  EXPECT_EQ(std::count(patches.character.begin(), patches.character.end(), kNoCharacter), 60);
  EXPECT_EQ(patches.shape, std::vector<TokenId>(64, kNoShape));
}

// ---- the definition of tools/tiny/scenes.py, in pixels of 112 ------------------------------------------

struct Found {
  int index = -1;
  std::vector<double> seen{0, 0, 0, 0};
};
Found nearest_box(const std::vector<CanvasBox>& boxes, Index row, Index column, Index grid) {
  const double side = 112.0 / static_cast<double>(grid);
  const double y = (static_cast<double>(row) + 0.5) * side;
  const double x = (static_cast<double>(column) + 0.5) * side;
  std::vector<double> distances;
  for (const auto& [y0, x0, y1, x1] : boxes) {
    const double down = (y0 + y1) / 4 - y, right = (x0 + x1) / 4 - x;
    const double half_h = (y1 - y0) / 4, half_w = (x1 - x0) / 4;
    const bool inside = std::abs(down) < half_h + side / 2 && std::abs(right) < half_w + side / 2;
    const double of_h = std::abs(down) / std::max(half_h, 1.0);
    const double of_w = std::abs(right) / std::max(half_w, 1.0);
    distances.push_back(inside ? std::max(of_h, of_w) : INFINITY);
  }
  Found found;
  const auto least = std::min_element(distances.begin(), distances.end());
  if (least == distances.end() || std::isinf(*least)) return found;
  found.index = static_cast<int>(least - distances.begin());
  const auto& [y0, x0, y1, x1] = boxes[static_cast<std::size_t>(found.index)];
  for (const double pixels : {(y0 + y1) / 4 - y, (x0 + x1) / 4 - x, (y1 - y0) / 4, (x1 - x0) / 4}) {
    found.seen[found.seen.size() - 4] = pixels / 14;
    std::rotate(found.seen.begin(), found.seen.begin() + 1, found.seen.end());
  }
  return found;
}

// Offsets of at most 8 are differences of numbers of at most 8.
void expect_seen(const std::vector<float>& boxes, std::size_t patch, const Found& found) {
  const auto seen = box_of(boxes, patch);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(seen[i], found.seen[i], 8 * kUnitRoundoff) << i;
}

class PatchTruthOf : public ::testing::TestWithParam<Index> {};
INSTANTIATE_TEST_SUITE_P(Grid, PatchTruthOf, ::testing::Values(1, 4, 7, 8));

TEST_P(PatchTruthOf, ScenesIsThatOfItsDefinition) {
  const Index grid = GetParam();
  int touched = 0, alone = 0, characters = 0;
  for (std::uint64_t index = 0; index < 60; ++index) {
    const Truth truth = world::truth_of(world::random_scene(Split::train, index, 0.5));
    const PatchTruth patches = patch_truth(truth, grid);
    ASSERT_EQ(std::ssize(patches.shape), grid * grid);
    std::vector<CanvasBox> things, letters;
    for (const Thing& thing : truth.things) things.push_back(thing.box);
    if (truth.writing) letters = truth.writing->characters;
    for (Index i = 0; i < grid * grid; ++i) {
      const auto at = static_cast<std::size_t>(i);
      const Found thing = nearest_box(things, i / grid, i % grid, grid);
      const auto of = static_cast<std::size_t>(std::max(thing.index, 0));
      const bool has_thing = thing.index >= 0;
      EXPECT_EQ(patches.shape[at],
                has_thing ? static_cast<TokenId>(truth.things[of].shape) : kNoShape);
      EXPECT_EQ(patches.color[at],
                has_thing ? static_cast<TokenId>(truth.things[of].color) : kNoColor);
      if (has_thing) expect_seen(patches.box, at, thing);
      const Found letter = nearest_box(letters, i / grid, i % grid, grid);
      const std::string all = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
      EXPECT_EQ(patches.character[at],
                letter.index < 0
                    ? kNoCharacter
                    : static_cast<TokenId>(
                          all.find(truth.writing->text[static_cast<std::size_t>(letter.index)])));
      if (letter.index >= 0) expect_seen(patches.character_box, at, letter);
      touched += has_thing;
      alone += !has_thing;
      characters += letter.index >= 0;
    }
  }
  EXPECT_GT(touched, 0);
  EXPECT_GT(alone, 0);
  EXPECT_GT(characters, 0);
}

// ---- the weights of a step -------------------------------------------------------------------------

double sum_of(const std::vector<float>& weights) {
  double sum = 0;
  for (const float weight : weights) sum += double{weight};
  return sum;
}

struct Step {
  std::vector<PatchTruth> pictures;
  DenseCounts counts;

  explicit Step(const std::vector<Truth>& truths) {
    for (const Truth& truth : truths) {
      pictures.push_back(patch_truth(truth, 8));
      counts.add(pictures.back());
    }
  }
  DenseTargets targets(std::size_t begin, std::size_t end, double weight) const {
    std::vector<const PatchTruth*> some;
    for (std::size_t i = begin; i < end; ++i) some.push_back(&pictures[i]);
    return dense_targets(some, counts, weight);
  }
};
Step some_step() {
  std::vector<Truth> truths{Truth{}};
  for (std::uint64_t i = 0; i < 6; ++i) {
    truths.push_back(world::truth_of(world::random_scene(Split::train, i, 0.8)));
  }
  return Step(truths);
}

// Each mean is `weight`, of a step in one part as in three.
TEST(DenseTargets, HaveWeightsThatSumUpToOneOverAStep) {
  const Step step = some_step();
  for (const double weight : {1.0, 0.3}) {
    for (const std::vector<std::size_t>& ends :
         std::vector<std::vector<std::size_t>>{{0, 7}, {0, 1, 4, 7}}) {
      std::vector<double> names(3), measures(2);
      for (std::size_t k = 0; k + 1 < ends.size(); ++k) {
        const DenseTargets targets = step.targets(ends[k], ends[k + 1], weight);
        ASSERT_EQ(targets.names.size(), 3u);
        ASSERT_EQ(targets.measures.size(), 2u);
        const auto rows = 64 * (ends[k + 1] - ends[k]);
        for (std::size_t i = 0; i < 3; ++i) {
          EXPECT_EQ(targets.names[i].weights.size(), rows);
          names[i] += sum_of(targets.names[i].weights);
        }
        for (std::size_t i = 0; i < 2; ++i) {
          EXPECT_EQ(targets.measures[i].weights.size(), rows);
          measures[i] += 4 * sum_of(targets.measures[i].weights);
        }
      }
      const double allowed = float_sum_of(7 * 64).relative * weight;
      for (const double sum : names) EXPECT_NEAR(sum, weight, allowed);
      for (const double sum : measures) EXPECT_NEAR(sum, weight, allowed);
    }
  }
}

TEST(DenseTargets, AreWhatLiesUnderThePatchesOfAllPictures) {
  const Step step = some_step();
  const DenseTargets targets = step.targets(1, 4, 1);
  EXPECT_EQ(targets.columns(), kDenseColumns);
  EXPECT_EQ(kDenseColumns, 61);
  EXPECT_EQ(targets.names[0].width, 7);
  EXPECT_EQ(targets.names[1].width, 9);
  EXPECT_EQ(targets.names[2].width, 37);
  EXPECT_EQ(targets.measures[0].width, 4);
  EXPECT_EQ(targets.measures[1].width, 4);
  const auto joined = [&](auto part) {
    auto all = step.pictures[1].*part;
    for (const std::size_t i : {2u, 3u}) {
      const auto& more = step.pictures[i].*part;
      all.insert(all.end(), more.begin(), more.end());
    }
    return all;
  };
  EXPECT_EQ(targets.names[0].targets, joined(&PatchTruth::shape));
  EXPECT_EQ(targets.names[1].targets, joined(&PatchTruth::color));
  EXPECT_EQ(targets.names[2].targets, joined(&PatchTruth::character));
  EXPECT_EQ(targets.measures[0].values, joined(&PatchTruth::box));
  EXPECT_EQ(targets.measures[1].values, joined(&PatchTruth::character_box));
}

TEST(DenseTargets, CountACharacterFourTimesAndABoxWhereThereIsOne) {
  const Step step = some_step();
  const DenseTargets targets = step.targets(0, 7, 1);
  const auto& [shape, color, character] =
      std::tie(targets.names[0], targets.names[1], targets.names[2]);
  const float least = *std::min_element(character.weights.begin(), character.weights.end());
  EXPECT_GT(least, 0);
  int things = 0, characters = 0;
  for (std::size_t i = 0; i < 7 * 64; ++i) {
    EXPECT_EQ(shape.weights[i], shape.weights[0]);
    EXPECT_EQ(color.weights[i], shape.weights[0]);
    const bool is_thing = shape.targets[i] != kNoShape;
    const bool is_character = character.targets[i] != kNoCharacter;
    EXPECT_EQ(character.weights[i], is_character ? 4 * least : least);
    EXPECT_EQ(targets.measures[0].weights[i] > 0, is_thing);
    EXPECT_EQ(targets.measures[1].weights[i] > 0, is_character);
    things += is_thing;
    characters += is_character;
  }
  EXPECT_GT(things, 0);
  EXPECT_GT(characters, 0);
}

TEST(DenseTargets, OfEmptyPicturesMeasureNothing) {
  const Step step({Truth{}, Truth{}});
  const DenseTargets targets = step.targets(0, 2, 1);
  for (const auto& part : targets.measures) {
    EXPECT_EQ(part.weights, std::vector<float>(128, 0.0f));
  }
  for (const auto& part : targets.names) {
    EXPECT_EQ(part.weights, std::vector<float>(128, 1.0f / 128));
  }
}

}  // namespace
}  // namespace paligemma::tiny
