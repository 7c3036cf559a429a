// Dense targets: what lies under each patch of a scene, for the dense head (train/dense_head.h).
//
//   shape            one of 6, or none      of the object whose box touches the patch; of several, the one whose
//   color            one of 8, or none      middle is nearest, in halves of its box
//   character        one of 36, or none     likewise of the text; a patch that has one counts four times
//   box              4 numbers              that object's middle seen from the patch's, then half its height and width,
//   character_box    4 numbers              y before x; the picture's side is 8
//
// Every part is a mean: of names over all patches, of numbers over those where there is something.
//
// Read next: tiny/scene_lessons.h.
#pragma once

#include <span>
#include <vector>

#include "train/dense_head.h"
#include "world/geometry.h"

namespace paligemma::tiny {

inline constexpr Index kDenseColumns = 7 + 9 + 37 + 4 + 4;

// Of a square picture of grid x grid patches.
struct PatchTruth {
  std::vector<TokenId> shape, color, character;  // [grid * grid]
  std::vector<float> box, character_box;         // [grid * grid, 4]
};
PatchTruth patch_truth(const world::Truth& truth, Index grid);

// How many patches of a step count in each mean.
struct DenseCounts {
  double patches = 0, characters = 0;      // the latter times their weights
  double in_boxes = 0, in_characters = 0;  // where there is something

  void add(const PatchTruth& picture);
};

// Of some of a step's pictures; the means are those of all of it, times `weight`.
DenseTargets dense_targets(std::span<const PatchTruth* const> pictures, const DenseCounts& counts,
                           double weight);

}  // namespace paligemma::tiny
