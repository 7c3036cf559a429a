// Position embedding: tell each patch where it is, by adding a learned row for its place.
//
//   x[l,d] += table[l,d]
//
//   table  [L, D]   one row per patch, row by row over the picture
//   x      [L, D]   the embedded patches
//
// Paper: Dosovitskiy et al. 2020, "An image is worth 16x16 words", eq. 1 (E_pos). Learned, added
// once, before the first block. A checkpoint of another resolution brings a table of another length.
//
// Read next: tensor/layer_norm.h.
#pragma once

#include "tensor/execution.h"
#include "tensor/numbers.h"
#include "tensor/view.h"

namespace paligemma {

// Weight is float, bf16 or f16.
template <class Weight>
void position_embedding(Reference, View<const Weight, 2> table, View<float, 2> x);

// Backward: dtable[l,d] += dx[l,d], for each picture. The gradient of the patches is dx itself.
void position_embedding_backward(Reference, View<const float, 2> dx, View<float, 2> dtable);

}  // namespace paligemma
