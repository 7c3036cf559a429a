// Segmentation: the 16 <seg> tokens of an object become its mask.
//
//   16 codes -> rows of the codebook   x [4, 4, E]
//   x = relu(convolve(x))              1 x 1, to C channels                        decoder.0
//   x = x + convolve(relu(convolve(relu(convolve(x)))))   3 x 3, 3 x 3, 1 x 1      decoder.2, .3
//   x = relu(convolve_transposed(x))   8 x 8, 16 x 16, 32 x 32, 64 x 64            decoder.4 to .10
//   mask = convolve(x) > 0             1 x 1, to one channel                       decoder.12
//
// The decoder half of a VQ-VAE. Its weights do not come with the checkpoint but in a file of their
// own, big_vision's vae-oid.npz; the encoder half in it is passed over, since masks become tokens in
// processing/mask_encoder. The layers are processing/mask_layers'. All widths are the file's, up to
// 1024, so that no product of them asks for more than the 32 MiB of two pictures [64, 64, 1024].
//
// Paper: Ning et al. 2023, "All in Tokens"; Beyer et al. 2024, "PaliGemma", section 3.2.5;
// big_vision's evaluator for the network and for what becomes of its values.
// Read next: processing/mask_encoder.h.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <vector>

#include "processing/detections.h"
#include "processing/mask_layers.h"
#include "tensor/buffer.h"

namespace paligemma {

class MaskDecoder {
 public:
  // Throws NotFoundError, or a ModelFileError that names the array and its shape.
  explicit MaskDecoder(const std::filesystem::path& file);

  // Values [64, 64], about -1 to 1; the object is where they are above 0.
  Buffer<float, 2> decode(std::span<const int> codes) const;

 private:
  explicit MaskDecoder(MaskLayerReader reader);

  Buffer<float, 2> codebook_;  // [128, E]
  MaskLayer first_;
  std::vector<MaskLayer> residual_, growing_;  // 2 blocks of three layers; four layers
  MaskLayer last_;
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
