// What fast/tensor hands to the kernel that puts adapters into finished sums. Sizes have been checked.
#pragma once

#include "fast/core/fast.h"
#include "tensor/view.h"

namespace paligemma {

// The sums of a layer without its bias, and what its adapter makes of them (tensor/lora.h). Without a low they are
// whole.
struct AdaptedSums {
  const float* sums;           // [T, O]
  Index stride;                // from a row of sums to the next
  const float* low = nullptr;  // [T, rank]
  const float* b = nullptr;    // [rank, O]
  Index rank = 0;
  const float* magnitude = nullptr;  // [O], or null
  const float* bias = nullptr;       // [O], or null
};

// y [T, O] = the layer's; with `gelu` its tanh form; with a gate the other's, or its gelu, times the layer's. y may
// be the layer's sums.
struct AdaptedWork {
  AdaptedSums layer;
  const AdaptedSums* gate;  // or null
  bool gelu;
  float* y;
  Index T, O;
  Index y_stride;
};

using AdaptedKernel = void (*)(const Fast&, const AdaptedWork&);

}  // namespace paligemma
