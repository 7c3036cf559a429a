// What fast/gemma/{sampler,soft_cap}.cpp ask of an instruction set, of some logits at a time.
#pragma once

#include "tensor/view.h"

namespace paligemma {

struct LogitKernels {
  // The largest. A NaN or +infinity gives +infinity.
  float (*max)(const float* logits, Index count);
  // sum_v e^(logits[v] - max)
  double (*sum_exp)(const float* logits, Index count, float max);
  // x = cap tanh(x / cap)
  void (*soft_cap)(float cap, float* logits, Index count);
  // y[v] = factor e^(logits[v] - shift)
  void (*scaled_exp)(const float* logits, Index count, float shift, float factor, float* y);
};

}  // namespace paligemma
