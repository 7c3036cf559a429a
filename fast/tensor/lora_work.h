// What fast/tensor hands to the kernels that make the sums of a layer whole. Sizes have been checked.
#pragma once

#include "fast/core/fast.h"
#include "tensor/view.h"

namespace paligemma {

// What a layer's sums lack: y [T, O] = magnitude * sums + low b + bias. A layer without an adapter has a bias at
// most (tensor/lora.h).
struct Remainder {
  const float* bias = nullptr;       // [O], or null
  const float* magnitude = nullptr;  // [O], or null
  const float* low = nullptr;        // [T, rank], or null
  const float* b = nullptr;          // [rank, O]
  Index rank = 0;
};

// The sums are in y.
struct RemainderWork {
  Remainder remainder;
  float* y;
  Index T, O;
  Index y_stride;  // from a row of y to the next
};

using RemainderKernel = void (*)(const Fast&, const RemainderWork&);

}  // namespace paligemma
