// RMSNorm: divide each row by its root mean square, then stretch each feature by a learned gain.
//
//   y[t,d] = x[t,d] / sqrt( mean_d(x[t,d]^2) + eps ) * (1 + scale[d])
//
//   x      [T, D]   T tokens, D = d_model features (2048 in Gemma 2B)
//   scale  [D]      the learned gain minus one; all zeros means "no gain"
//   y      [T, D]   may be x itself: a row is read in full before it is written
//
// Paper: Zhang & Sennrich 2019, "Root Mean Square Layer Normalization", eq. 4. Their gain g is our
// 1 + scale. Two choices are Gemma's, and both change the output if missed:
//   - the checkpoint stores the gain minus one;
//   - 1 + scale is added in float, not in the short type that the scale is stored in.
//
// Read next: gemma/rope.h.
#pragma once

#include "tensor/execution.h"
#include "tensor/numbers.h"
#include "tensor/view.h"

namespace paligemma {

// Weight is float, bf16 or f16.
template <class Weight>
void rms_norm(Reference, View<const float, 2> x, View<const Weight, 1> scale, float eps,
              View<float, 2> y);

}  // namespace paligemma
