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

// Backward, from dy. With n[l,d] = (x[l,d] - mean) / std, the normalised row, and g[l,d] = dy[l,d] scale[d]:
//
//   dx[l,d]   += ( g[l,d] - mean_d g[l,d] - n[l,d] mean_d (g[l,d] n[l,d]) ) / std
//   dscale[d] += sum_l dy[l,d] n[l,d]
//   dbias[d]  += sum_l dy[l,d]
//
// dscale and dbias may be views of nothing.
template <class Weight>
void layer_norm_backward(Reference, View<const float, 2> x, View<const Weight, 1> scale, float eps,
                         View<const float, 2> dy, View<float, 2> dx, View<float, 1> dscale,
                         View<float, 1> dbias);

}  // namespace paligemma
