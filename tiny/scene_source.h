// Scene source: the pictures that the tiny model learns from, each by its number.
//
// Most are scenes of the world (world/scene.h). With photographs, three in a hundred are cuttings of these, in which
// there is nothing to be seen.
//
// Read next: tiny/dense_targets.h.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "processing/image_file.h"
#include "world/geometry.h"
#include "world/random.h"

namespace paligemma::tiny {

struct DrawnScene {
  world::Scene scene;
  world::Truth truth;
  bool is_photo;
  world::Random random;  // for what is asked about it
  RgbImage picture{{0, 0, 3}};
};

class SceneSource {
 public:
  // `texts` is the share of scenes that are to have a text. Throws NotFoundError, or ImageError for a folder without
  // pictures or with one that cannot be read.
  SceneSource(world::Split split, double texts, const std::filesystem::path& photos = {});

  DrawnScene at(std::uint64_t index) const;
  // The same in two steps, for who asks before the picture is there: a cutting takes from its random numbers.
  DrawnScene without_picture(std::uint64_t index) const;
  void draw(DrawnScene& scene) const;

 private:
  RgbImage cutting(world::Random& random) const;

  world::Split split_;
  double texts_;
  std::vector<RgbImage> photos_;
};

// The mask of a thing, cut out by its box and resized to 64 x 64, as PaliGemma's training does: 0 to 255.
Buffer<std::uint8_t, 2> small_mask(const world::Scene& scene, const world::Truth& truth,
                                   std::size_t thing);

}  // namespace paligemma::tiny
