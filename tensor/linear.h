// Linear: every output feature is an inner product of the input row with one row of weights.
//
//   y[t,o] = sum_i x[t,i] weight[o,i] + bias[o]
//
//   x       [T, I]   T tokens, I input features
//   weight  [O, I]   O output features; one row per output, as PyTorch and the checkpoints have it
//   bias    [O]      absent in every layer of Gemma, present in every layer of SigLIP
//   y       [T, O]   must not overlap x
//
// x and weight must be row-major; y may be a window of something wider.
//
// Paper: none needed; Vaswani et al. 2017, "Attention is all you need", section 3.2.2 and eq. 2 is
// where these layers stand. The weights are widened to float and the sum is float.
//
// Read next: docs/tensor/linear.md (worked example).
#pragma once

#include "tensor/execution.h"
#include "tensor/numbers.h"
#include "tensor/view.h"

namespace paligemma {

// Weight is float, bf16 or f16.
template <class Weight>
void linear(Reference, View<const float, 2> x, View<const Weight, 2> weight, View<float, 2> y);

template <class Weight>
void linear(Reference, View<const float, 2> x, View<const Weight, 2> weight,
            View<const Weight, 1> bias, View<float, 2> y);

}  // namespace paligemma
