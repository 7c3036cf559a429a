// What fast/tensor/linear.cpp hands to a kernel. Sizes have been checked.
#pragma once

#include "fast/core/fast.h"
#include "fast/tensor/lora_work.h"
#include "tensor/numbers.h"
#include "tensor/quantized_linear.h"
#include "tensor/view.h"

namespace paligemma {

// `Weight` is float, bf16, f16 or a block of quantised ones (tensor/quantized_linear.h).
//
//   sum  [T, O] = x [T, I] times the transpose of weight [O, I], made whole
//   y    [T, O] = sum; with `gelu` its tanh form; with a gate the other layer's, or its gelu, times sum
template <class Weight>
struct LinearWork {
  const float* x;
  const Weight* weight;
  Remainder remainder;
  const Weight* gate;  // or null
  Remainder gate_remainder;
  bool gelu;
  float* y;
  Index T, O, I;
  Index y_stride;  // from a row of y to the next
};

struct LinearKernels {
  void (*f32)(const Fast&, const LinearWork<float>&);
  void (*bf16)(const Fast&, const LinearWork<bf16>&);
  void (*f16)(const Fast&, const LinearWork<f16>&);
  void (*int8)(const Fast&, const LinearWork<Int8Block>&);
  void (*int4)(const Fast&, const LinearWork<Int4Block>&);
  RemainderKernel remainder;
};

}  // namespace paligemma
