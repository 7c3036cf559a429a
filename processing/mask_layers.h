// Layers of the networks between masks and <seg> tokens, and the file that they stand in.
//
// Pictures are [H, W, C], weights [k, k, C, O] with outputs last; beyond the border x is zero.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tensor/buffer.h"
#include "tensor/npz.h"

namespace paligemma {

//   y[r,q,o] = bias[o] + sum_{i,j,c} weight[i,j,c,o] x[r + i - (k-1)/2, q + j - (k-1)/2, c]
//
// for odd k. y [H, W, O].
void convolve(View<const float, 3> x, View<const float, 4> weight, View<const float, 1> bias,
              View<float, 3> y);

// Each pixel of a y [H/2, W/2, O] looks at 4 x 4 pixels of x, two apart:
//
//   y[r,q,o] = bias[o] + sum_{i,j,c} weight[i,j,c,o] x[2r + i - 1, 2q + j - 1, c]
//
// for even H and W.
void convolve_halving(View<const float, 3> x, View<const float, 4> weight,
                      View<const float, 1> bias, View<float, 3> y);

// Each pixel of x paints 4 x 4 pixels of a y [2H, 2W, O], two apart, the border cut off:
//
//   y[2r + i - 1, 2q + j - 1, o] += weight[i,j,c,o] x[r,q,c]     beginning with bias[o]
void convolve_transposed(View<const float, 3> x, View<const float, 4> weight,
                         View<const float, 1> bias, View<float, 3> y);

void relu(View<float, 3> x);

struct MaskLayer {
  Index outputs() const { return weight.view().size(3); }

  Buffer<float, 4> weight;  // [k, k, C, O]
  Buffer<float, 1> bias;    // [O]
};

Buffer<float, 3> convolved(const Buffer<float, 3>& x, const MaskLayer& layer);

// For each block of three layers, of equal widths: x = x + convolve(relu(convolve(relu(convolve(x))))).
void add_residuals(const std::vector<MaskLayer>& blocks, Buffer<float, 3>& x);

inline constexpr Index kMaskCodes = 128;

// Takes layers out of big_vision's vae-oid.npz. What does not fit is a ModelFileError that names the
// array; `kAnyWidth` is a width that the file decides, up to 1024.
class MaskLayerReader {
 public:
  static constexpr Index kAnyWidth = -1;

  explicit MaskLayerReader(const std::filesystem::path& file) : file_(file) {}

  Buffer<float, 2> codebook();  // [128, E]

  MaskLayer convolution(const std::string& name, Index C, Index O, Index k);
  MaskLayer transposed(const std::string& name, Index C);
  // Two blocks, such as decoder.2 and decoder.3: 3 x 3, 3 x 3, 1 x 1 each.
  std::vector<MaskLayer> residual(const std::string& first, const std::string& second, Index C);

 private:
  NpyArray array(const std::string& name, const std::vector<Index>& expected);
  MaskLayer layer(const std::string& name, const std::vector<Index>& shape, int in, int out);

  NpzFile file_;
};

}  // namespace paligemma
