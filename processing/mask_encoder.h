// Mask encoder: the mask of an object becomes its 16 <seg> tokens.
//
//   x = mask / 127.5 - 1               [64, 64, 1], from -1 to 1
//   x = relu(convolve_halving(x))      32 x 32, 16 x 16, 8 x 8, 4 x 4             encoder.0, .2, .4, .6
//   x = x + convolve(relu(convolve(relu(convolve(x)))))   3 x 3, 3 x 3, 1 x 1     encoder.8, .9
//   z = convolve(x)                    1 x 1, to the E channels of the codebook   encoder.10
//   code[r,q] = argmin_k sum_e (z[r,q,e] - codebook[k,e])^2                       the first of equal ones
//
// The encoder half of the VQ-VAE whose decoder is processing/segmentation's, from the same file. What a
// model is to say of a mask is found with it; a model that answers needs none. All widths are the file's, up
// to 1024.
//
// Paper: Ning et al. 2023, "All in Tokens"; van den Oord et al. 2017, "Neural Discrete Representation
// Learning", equation 1; big_vision's evaluator for the network. Read next: processing/draw.h.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <vector>

#include "processing/mask_layers.h"
#include "tensor/buffer.h"

namespace paligemma {

class MaskEncoder {
 public:
  // Throws NotFoundError, or a ModelFileError that names the array and its shape. A file may hold a decoder
  // alone; then that array is encoder.0.weight.
  explicit MaskEncoder(const std::filesystem::path& file);

  // mask [64, 64]: 255 where the object is, elsewhere 0, between them at its edge. The object's box fills
  // it, whatever its shape. Codes 0 to 127, row by row. Any number of threads may ask at once.
  std::array<int, 16> encode(View<const std::uint8_t, 2> mask) const;

 private:
  explicit MaskEncoder(MaskLayerReader reader);

  Buffer<float, 2> codebook_;                    // [128, E]
  std::vector<MaskLayer> shrinking_, residual_;  // four layers; 2 blocks of three layers
  MaskLayer last_;
};

}  // namespace paligemma
