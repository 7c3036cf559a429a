// RMSNorm: divide each row by its root mean square, then stretch each feature by a learned gain.
//
//   y[t,d] = x[t,d] / sqrt( mean_d(x[t,d]^2) + eps ) * (offset + scale[d])
//
//   x      [T, D]   T tokens, D = d_model features (2048 in Gemma 2B)
//   scale  [D]      the learned gain minus `offset`
//   y      [T, D]   may be x itself: a row is read in full before it is written
//
// Paper: Zhang & Sennrich 2019, "Root Mean Square Layer Normalization", eq. 4. Their gain g is our
// offset + scale. Two choices are Gemma's, and both change the output if missed:
//   - the checkpoint stores the gain minus one, so that zeros mean "no gain": the offset is 1;
//   - 1 + scale is added in float, not in the short type that the scale is stored in.
//
// Read next: gemma/self_attention.h.
#pragma once

#include "tensor/execution.h"
#include "tensor/numbers.h"
#include "tensor/view.h"

namespace paligemma {

struct RmsNormRule {
  float eps;     // 1e-6 in Gemma
  float offset;  // 1 in Gemma; 0 where a checkpoint stores the whole gain, as Llama's do
};

// Weight is float, bf16 or f16.
template <class Weight>
void rms_norm(Reference, View<const float, 2> x, View<const Weight, 1> scale, RmsNormRule rule,
              View<float, 2> y);

// Backward, from dy. With n[t,d] = x[t,d] / rms, the normalised row, and g[t,d] = dy[t,d] (offset + scale[d]):
//
//   dx[t,d]   += ( g[t,d] - n[t,d] mean_d (g[t,d] n[t,d]) ) / rms
//   dscale[d] += sum_t dy[t,d] n[t,d]                                    or left out, if of nothing
template <class Weight>
void rms_norm_backward(Reference, View<const float, 2> x, View<const Weight, 1> scale,
                       RmsNormRule rule, View<const float, 2> dy, View<float, 2> dx,
                       View<float, 1> dscale);

}  // namespace paligemma
