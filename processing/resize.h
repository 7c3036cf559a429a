// Resize: squash a picture to the size that the model was trained on, as Pillow does, bit for bit.
//
//   y[r,q,c] = sum_{i,j} weight_r[i] weight_q[j] x[i,j,c]
//
//   x  [H, W, 3]     any size; proportions are not kept, nothing is cropped
//   y  [H', W', 3]
//
// The weights are a cubic (a = -1/2) or a triangle, stretched when the picture shrinks so that every
// input pixel counts ("antialias"). First along each row, then along each column, or the other way
// for a picture that loses much more height than width; each pass rounds to 8 bits, with weights in
// fixed point of 22 bits. The result depends on order and rounding, and so does equality with the
// original implementation.
//
// Keras resizes otherwise, and its presets of PaliGemma do: the middle square is cut out, and each of y's pixels is
// interpolated linearly between four, however many lie between one of them and the next. Nothing is rounded.
//
// Source: Pillow 13.0.0, whose choice of order is newer than release 12; Keys 1981, "Cubic
// convolution interpolation", eq. 15; Beyer et al. 2024, "PaliGemma", section 3.1, for the squash;
// Keras 3.15.1, ops.image.resize, for the square.
//
// Read next: processing/normalize_pixels.h.
#pragma once

#include <cstdint>
#include <vector>

#include "tensor/view.h"

namespace paligemma {

enum class ResampleFilter { bilinear, bicubic };  // "resample" 2 and 3 in preprocessor_config.json

void resize(View<const std::uint8_t, 3> x, ResampleFilter filter, View<std::uint8_t, 3> y);

// As Keras does, y in floats of 0 to 255; and the largest square in the middle of x, up and left of it by half a
// pixel where it cannot be exact.
void sample(View<const std::uint8_t, 3> x, View<float, 3> y);
View<const std::uint8_t, 3> middle_square(View<const std::uint8_t, 3> x);

// What each of `out` pixels is made of: input pixels first, first + 1, ... times these weights.
struct Window {
  Index first;
  std::vector<double> weights;  // their sum is one
};

std::vector<Window> windows(Index in, Index out, ResampleFilter filter);

}  // namespace paligemma
