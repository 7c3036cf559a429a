// What fast/tensor/gelu.cpp and fast/gemma/geglu.cpp hand to kernels, of some numbers at a time. The tanh form.
#pragma once

#include "fast/core/fast.h"
#include "tensor/view.h"

namespace paligemma {

//   forward    y = gelu(x), times up where there is one
//   backward   dx = dy gelu'(x), times up where there is one; then dup = dy gelu(x) too
//
// Outputs may be inputs of the same place.
struct GeluWork {
  const float* x;
  const float* up;  // or null
  float* y;
  Index count;
};
struct GeluBackwardWork {
  const float *x, *up, *dy;
  float *dx, *dup;
  Index count;
};

struct GeluKernels {
  void (*forward)(const Fast&, const GeluWork&);
  void (*backward)(const Fast&, const GeluBackwardWork&);
};

}  // namespace paligemma
