// Linear: every output feature is an inner product of the input row with one row of weights.
//
//   sum[t,o] = sum_i x[t,i] weight[o,i] + bias[o]
//   y[t,o]   = sum[t,o], or what the epilogue makes of it
//
//   x       [T, I]   T tokens, I input features
//   weight  [O, I]   O output features; one row per output, as PyTorch and the checkpoints have it
//   bias    [O]      absent in every layer of Gemma, present in every layer of SigLIP
//   y       [T, O]   must not overlap x
//
// x and weight must be row-major; y may be a window of something wider. A layer with an adapter
// (tensor/lora.h) sums what that adds too, before the epilogue, and has its bias there.
//
// Paper: none needed; Vaswani et al. 2017, "Attention is all you need", section 3.2.2 and eq. 2 is
// where these layers stand. The weights are widened to float and the sum is float.
//
// Read next: tensor/lora.h.
#pragma once

#include <optional>

#include "tensor/execution.h"
#include "tensor/gelu.h"
#include "tensor/numbers.h"
#include "tensor/view.h"
#include "tensor/weights.h"

namespace paligemma {

// What follows a sum. Executors do it where the sum stands, so that it is not written and read again.
//
//   activation   y = gelu(sum)                                SigLIP's first layer of an MLP
//   gate         y = gelu(sum of the gate's layer) * sum      Gemma's MLP (gemma/geglu.h)
//   add          y = what was there + all that                the residual stream
//
// A gate has the size of the layer, and an activation.
template <class W>
struct Epilogue {
  std::optional<GeluForm> activation = {};
  const Linear<W>* gate = nullptr;
  bool add = false;
};

// Weight is float, bf16 or f16.
template <class Weight>
void linear(Reference, View<const float, 2> x, const Linear<HostWeights<Weight>>& w,
            View<float, 2> y, const Epilogue<HostWeights<Weight>>& epilogue = {});

// Backward, of a layer without an epilogue, from dy [T, O]:
//
//   dx[t,i]      += sum_o dy[t,o] weight[o,i]
//   dweight[o,i] += sum_t dy[t,o] x[t,i]
//   dbias[o]     += sum_t dy[t,o]
//
// Where a view is of nothing, that sum is left out. An adapter has its part (tensor/lora.h).
template <class Weight>
void linear_backward(Reference, View<const float, 2> x, const Linear<HostWeights<Weight>>& w,
                     View<const float, 2> dy, View<float, 2> dx, const Linear<HostGradients>& dw);

}  // namespace paligemma
