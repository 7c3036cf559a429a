// Render: a scene as a picture.
//
// One rule paints every shape and every stroke: a pixel whose centre lies d pixels inside an edge
// is covered by d + 1/2, clamped to 0 and 1.
//
// Then the camera: blur, gamma, noise, rounding to bytes.
//
// Read next: world/questions.h.
#pragma once

#include "processing/image_file.h"
#include "world/geometry.h"

namespace paligemma::world {

RgbImage render(const Scene& scene);

// 255 where object `index` is, else 0; [H, W] of the picture.
Buffer<std::uint8_t, 2> render_mask(const Scene& scene, std::size_t index);

}  // namespace paligemma::world
