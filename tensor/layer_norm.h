// LayerNorm: shift each row to mean 0, divide it by its standard deviation, then stretch and shift
// each feature by learned numbers.
//
//   y[l,d] = (x[l,d] - mean_d x[l,d]) / sqrt( var_d x[l,d] + eps ) * scale[d] + bias[d]
//
//   x            [L, D]   L patches or tokens, D features (1152 in SigLIP-So400m)
//   scale, bias  [D]
//   y            [L, D]   may be x itself: a row is read in full before it is written
//
// Paper: Ba, Kiros & Hinton 2016, "Layer normalization", eq. 3, which has no eps; it is 1e-6
// in SigLIP and PyTorch's default, 1e-5, in zeta's models. The variance is the mean of squares, divided
// by D, not by D - 1.
//
// Read next: siglip/self_attention.h.
#pragma once

#include "tensor/execution.h"
#include "tensor/numbers.h"
#include "tensor/view.h"

namespace paligemma {

// Weight is float, bf16 or f16.
template <class Weight>
void layer_norm(Reference, View<const float, 2> x, View<const Weight, 1> scale,
                View<const Weight, 1> bias, float eps, View<float, 2> y);

}  // namespace paligemma
