// Truths about pictures that nobody drew, for tests of what is asked and scored.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "world/geometry.h"

namespace paligemma::test {

inline world::Truth truth_with(std::vector<world::Thing> things, const std::string& text = "") {
  world::Truth truth;
  truth.things = std::move(things);
  if (!text.empty()) truth.writing = world::WritingTruth{text, {}, {}};
  return truth;
}

// A thing of 40 x 40 about a centre.
inline world::Thing thing_at(double x, double y, world::Color color, world::Shape shape) {
  return {color, shape, {y - 20, x - 20, y + 20, x + 20}};
}

}  // namespace paligemma::test
