#include "tiny/dense_targets.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>

namespace paligemma::tiny {
namespace {

constexpr double kSide = 8;            // of the picture
constexpr float kCharacterWeight = 4;  // few patches have one, and there are 36 of them
constexpr TokenId kNoCharacter = 36;

TokenId number_of(char character) {
  return character <= '9' ? 26 + character - '0' : character - 'A';
}

// The box that is nearest to the middle of a patch among those that touch it, and where it lies; or none.
struct Nearest {
  std::size_t index;
  std::array<float, 4> seen;
};
Nearest nearest(const std::vector<world::CanvasBox>& boxes, Index row, Index column, Index grid) {
  const double patch = kSide / static_cast<double>(grid), unit = kSide / world::kCanvas;
  const std::array<double, 2> at{(static_cast<double>(row) + 0.5) * patch,
                                 (static_cast<double>(column) + 0.5) * patch};
  const double least = unit * 2;  // a pixel of 112, so that nothing is divided by zero
  Nearest found{boxes.size(), {}};
  double best = 1e9;
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    std::array<double, 4> seen{};
    double distance = 0;
    bool touches = true;
    for (std::size_t axis = 0; axis < 2; ++axis) {
      const double low = boxes[i][axis] * unit, high = boxes[i][axis + 2] * unit;
      seen[axis] = (low + high) / 2 - at[axis];
      seen[axis + 2] = (high - low) / 2;
      distance = std::max(distance, std::abs(seen[axis]) / std::max(seen[axis + 2], least));
      touches = touches && std::abs(seen[axis]) < seen[axis + 2] + patch / 2;
    }
    if (!touches || distance >= best) continue;
    best = distance;
    found.index = i;
    for (std::size_t k = 0; k < 4; ++k) found.seen[k] = static_cast<float>(seen[k]);
  }
  return found;
}

bool is_there(TokenId character) { return character != kNoCharacter; }

}  // namespace

PatchTruth patch_truth(const world::Truth& truth, Index grid) {
  std::vector<world::CanvasBox> things, characters;
  for (const world::Thing& thing : truth.things) things.push_back(thing.box);
  if (truth.writing) characters = truth.writing->characters;
  PatchTruth patches;
  for (Index i = 0; i < grid * grid; ++i) {
    const Nearest thing = nearest(things, i / grid, i % grid, grid);
    const bool has_thing = thing.index < things.size();
    patches.shape.push_back(has_thing ? static_cast<TokenId>(truth.things[thing.index].shape)
                                      : world::kShapes);
    patches.color.push_back(has_thing ? static_cast<TokenId>(truth.things[thing.index].color)
                                      : world::kColors);
    patches.box.insert(patches.box.end(), thing.seen.begin(), thing.seen.end());
    const Nearest character = nearest(characters, i / grid, i % grid, grid);
    patches.character.push_back(character.index < characters.size()
                                    ? number_of(truth.writing->text[character.index])
                                    : kNoCharacter);
    patches.character_box.insert(patches.character_box.end(), character.seen.begin(),
                                 character.seen.end());
  }
  return patches;
}

void DenseCounts::add(const PatchTruth& picture) {
  patches += static_cast<double>(picture.shape.size());
  for (std::size_t i = 0; i < picture.shape.size(); ++i) {
    const bool is_character = is_there(picture.character[i]);
    characters += is_character ? double{kCharacterWeight} : 1;
    in_boxes += picture.shape[i] != world::kShapes;
    in_characters += is_character;
  }
}

DenseTargets dense_targets(std::span<const PatchTruth* const> pictures, const DenseCounts& counts,
                           double weight) {
  const auto share = [&](double count) { return static_cast<float>(weight / count); };
  DenseTargets::Name shape{world::kShapes + 1, {}, {}}, color{world::kColors + 1, {}, {}},
      character{kNoCharacter + 1, {}, {}};
  DenseTargets::Measure box{4, {}, {}}, character_box{4, {}, {}};
  const auto append = [](auto& all, const auto& more) {
    all.insert(all.end(), more.begin(), more.end());
  };
  for (const PatchTruth* picture : pictures) {
    append(shape.targets, picture->shape);
    append(color.targets, picture->color);
    append(character.targets, picture->character);
    append(box.values, picture->box);
    append(character_box.values, picture->character_box);
    for (std::size_t i = 0; i < picture->shape.size(); ++i) {
      const bool has_thing = picture->shape[i] != world::kShapes;
      const bool has_character = is_there(picture->character[i]);
      shape.weights.push_back(share(counts.patches));
      color.weights.push_back(share(counts.patches));
      character.weights.push_back((has_character ? kCharacterWeight : 1.0f) *
                                  share(counts.characters));
      box.weights.push_back(has_thing ? share(4 * counts.in_boxes) : 0);
      character_box.weights.push_back(has_character ? share(4 * counts.in_characters) : 0);
    }
  }
  return {{std::move(shape), std::move(color), std::move(character)},
          {std::move(box), std::move(character_box)}};
}

}  // namespace paligemma::tiny
