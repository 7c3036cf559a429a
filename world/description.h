// Description: a scene in words.
//
//   red circle @ 60,80; small blue square @ 160,150; "A7" @ 112,200
//
//   scene  := item { ";" item }
//   item   := [ "small" | "large" ] COLOR SHAPE [ place ]  |  '"' TEXT '"' [ place ]
//   place  := "@" X "," Y          the centre, in units of the canvas, from its upper left corner
//
// The words of an object may stand in any order, with an article or not. Things without a place
// stand in a row. An empty description is an empty scene.
//
// Read next: world/render.h.
#pragma once

#include <string_view>

#include "world/scene.h"

namespace paligemma::world {

inline constexpr double kSmall = 24, kMedium = 30, kLarge = 38;  // radii

// Throws std::invalid_argument: what is wrong, and in which item.
Scene parse_scene(std::string_view description);

}  // namespace paligemma::world
