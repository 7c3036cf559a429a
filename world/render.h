// Render: a scene as a picture.
//
// Background, objects, text, and then the camera (world/paint.h).
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
