// Glyphs: the letters A to Z and the digits as strokes of a pen, drawn for this project.
//
// A glyph lies in a box one unit wide and one high, y downwards, baseline at 1.
//
// Read next: world/render.h.
#pragma once

#include <vector>

namespace paligemma::world {

struct Point {
  double x, y;
};
using Stroke = std::vector<Point>;  // a line through these points

// No strokes for a character that is neither.
std::vector<Stroke> glyph(char character);

}  // namespace paligemma::world
