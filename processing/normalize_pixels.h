// Normalise pixels: bytes from 0 to 255 become numbers from -1 to 1.
//
//   y[r,q,c] = ( float(x[r,q,c] * rescale) - mean[c] ) / std[c]
//
//   x  [H, W, 3]
//   y  [H, W, 3]   channels last, as it came
//
// rescale is 1/255 and mean and std are 1/2, for every channel and every published checkpoint; they
// are not ImageNet's. The product is rounded from double to float and the rest is float, as in the
// original, so that the result is the same to the last bit.
//
// Source: Hugging Face's SiglipImageProcessor. Read next: train/loop.h.
#pragma once

#include <array>
#include <cstdint>

#include "tensor/view.h"

namespace paligemma {

struct PixelScale {
  double rescale = 0.00392156862745098;  // 1/255, with the digits of preprocessor_config.json
  std::array<float, 3> mean{0.5f, 0.5f, 0.5f};
  std::array<float, 3> std{0.5f, 0.5f, 0.5f};
};

void normalize_pixels(View<const std::uint8_t, 3> x, const PixelScale& scale, View<float, 3> y);
// Levels that have not been rounded.
void normalize_pixels(View<const float, 3> x, const PixelScale& scale, View<float, 3> y);

}  // namespace paligemma
