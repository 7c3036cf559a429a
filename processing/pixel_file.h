// Pixels from a file instead of a picture: what a vision tower reads, made elsewhere.
//
// A .npy file of float32, [3, R, R] as PyTorch's pixel_values are, or [R, R, 3]; it goes round all that is done
// to a picture (docs/cli.md).
#pragma once

#include <filesystem>

#include "processing/image_file.h"
#include "processing/normalize_pixels.h"
#include "tensor/buffer.h"

namespace paligemma {

// [R, R, 3]. Throws ImageError if it is another size, or holds a NaN or an infinity.
Buffer<float, 3> read_pixels(const std::filesystem::path& path, Index R);

// The picture that they show: normalize_pixels, backwards.
RgbImage shown_by(View<const float, 3> pixels, const PixelScale& scale);

}  // namespace paligemma
