// Patch embedding: cut the picture into squares and describe each by D numbers.
//
//   y[l,d] = sum_{c,i,j} pixels[P r + i, P q + j, c] weight[d, c, i, j] + bias[d]
//                                                                 l = r (R / P) + q
//   pixels  [R, R, 3]        channels last, in [-1, 1]
//   weight  [D, 3 * P * P]   P the side of a patch; a row is ordered channel, row, column
//   bias    [D]
//   y       [L, D]           L = (R / P)^2 patches, row by row
//
// Paper: Dosovitskiy et al. 2020, "An image is worth 16x16 words", eq. 1, less the class token,
// which SigLIP does not have. It is a convolution whose stride is its kernel, hence an inner
// product per patch. Where P does not divide R, the pixels left over at the right and the bottom
// are not read.
//
// Read next: siglip/position_embedding.h.
#pragma once

#include "tensor/execution.h"
#include "tensor/numbers.h"
#include "tensor/view.h"

namespace paligemma {

// Weight is float, bf16 or f16.
template <class Weight>
void patch_embedding(Reference, View<const float, 3> pixels, View<const Weight, 2> weight,
                     View<const Weight, 1> bias, Index patch_size, View<float, 2> y);

// Backward, from dy [L, D]. The picture is not learned:
//
//   dweight[d, c, i, j] += sum_l dy[l,d] pixels[P r + i, P q + j, c]
//   dbias[d]            += sum_l dy[l,d]
//
// Where a view is of nothing, that sum is left out.
void patch_embedding_backward(Reference, View<const float, 3> pixels, Index patch_size,
                              View<const float, 2> dy, View<float, 2> dweight,
                              View<float, 1> dbias);

}  // namespace paligemma
