// Segmentation: the 16 <seg> tokens of an object become its mask.
//
//   16 codes -> rows of the codebook   x [4, 4, E]
//   x = relu(convolve(x))              1 x 1, to C channels                        decoder.0
//   x = x + convolve(relu(convolve(relu(convolve(x)))))   3 x 3, 3 x 3, 1 x 1      decoder.2, .3
//   x = relu(convolve_transposed(x))   8 x 8, 16 x 16, 32 x 32, 64 x 64            decoder.4 to .10
//   mask = convolve(x) > 0             1 x 1, to one channel                       decoder.12
//
// The decoder half of a VQ-VAE. Its weights do not come with the checkpoint but in a file of their
// own, big_vision's vae-oid.npz; the encoder half in it is passed over. All widths are the file's, up to
// 1024, so that no product of them asks for more than the 32 MiB of two pictures [64, 64, 1024].
//
// Paper: Ning et al. 2023, "All in Tokens"; Beyer et al. 2024, "PaliGemma", section 3.2.5;
// big_vision's evaluator for the network and for what becomes of its values.
// Read next: processing/draw.h.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <vector>

#include "processing/detections.h"
#include "tensor/buffer.h"

namespace paligemma {

// The layers, on x [H, W, C] and with a weight [k, k, C, O], outputs last.
//
//   y[r,q,o] = bias[o] + sum_{i,j,c} weight[i,j,c,o] x[r + i - (k-1)/2, q + j - (k-1)/2, c]
//
// for odd k; beyond the border x is zero. y [H, W, O].
void convolve(View<const float, 3> x, View<const float, 4> weight, View<const float, 1> bias,
              View<float, 3> y);

// Each pixel of x paints 4 x 4 pixels of a y [2H, 2W, O], two apart, the border cut off:
//
//   y[2r + i - 1, 2q + j - 1, o] += weight[i,j,c,o] x[r,q,c]     beginning with bias[o]
void convolve_transposed(View<const float, 3> x, View<const float, 4> weight,
                         View<const float, 1> bias, View<float, 3> y);

class MaskDecoder {
 public:
  // Throws NotFoundError, or a ModelFileError that names the array and its shape.
  explicit MaskDecoder(const std::filesystem::path& file);

  // Values [64, 64], about -1 to 1; the object is where they are above 0.
  Buffer<float, 2> decode(std::span<const int> codes) const;

 private:
  struct Layer {
    Buffer<float, 4> weight;  // [k, k, C, O]
    Buffer<float, 1> bias;    // [O]
  };
  class Reader;
  explicit MaskDecoder(Reader reader);

  Buffer<float, 2> codebook_;  // [128, E]
  Layer first_;
  std::vector<Layer> residual_, growing_;  // 2 blocks of three layers; four layers
  Layer last_;
};

using Mask = Buffer<std::uint8_t, 2>;  // [H, W]: 255 where the object is, elsewhere 0

// The values are stretched over the box, whose edges are rounded to pixels, and compared with 0.
// They are stretched first: a mask that is 0 or 1 before has steps of many pixels after.
Mask mask_on_picture(View<const float, 2> values, const Box& box, Index width, Index height);

// One for each object that has codes.
std::vector<std::optional<Mask>> masks_of(const MaskDecoder& decoder,
                                          const std::vector<Detection>& detections, Index width,
                                          Index height);

}  // namespace paligemma
