// Paint: shapes and strokes over a background, then what a camera makes of them.
//
// One rule paints every shape and every stroke: a pixel whose centre lies d pixels inside an edge
// is covered by d + 1/2, clamped to 0 and 1. All points and lengths are in pixels of the picture.
//
// Read next: world/render.h, world/board.h.
#pragma once

#include "processing/image_file.h"
#include "world/glyphs.h"
#include "world/scene.h"

namespace paligemma::world {

using Paint = Buffer<double, 3>;  // [H, W, 3], 0 to 1

Paint paint_background(const Look& look);

// What lies at least `inset` within the outline.
void paint_polygon(View<double, 3> picture, const std::vector<Point>& polygon, double inset,
                   const Rgb& color);

// Lines that a round pen draws; `pen` is its radius.
void paint_strokes(View<double, 3> picture, const std::vector<Stroke>& strokes, double pen,
                   const Rgb& ink);

// Blur, gamma, noise, rounding to bytes.
RgbImage photograph(Paint picture, const Look& look);

// 255 where a pixel's centre lies inside the polygon, else 0; [height, width].
Buffer<std::uint8_t, 2> mask_of(const std::vector<Point>& polygon, Index height, Index width);

}  // namespace paligemma::world
