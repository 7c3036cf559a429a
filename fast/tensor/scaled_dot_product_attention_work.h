// What fast/tensor/scaled_dot_product_attention.cpp hands to a kernel. Shapes have been checked.
#pragma once

#include "fast/core/fast.h"
#include "tensor/scaled_dot_product_attention.h"

namespace paligemma {

// Sizes and strides as in the contract; strides are from a token to the next, and from a head to the next.
struct AttentionWork {
  const float *q, *k, *v;
  float* out;
  const KeyRange* visible;  // [T], or null: all keys
  AttentionRule rule;
  Index T, N, H, S, K;
  Index q_token, q_head, k_token, k_head, v_token, v_head, out_token, out_head;
  DistanceBiasOfKernel bias = {};
  float* weights = nullptr;      // [T, N, S], zeros so far; or null
  float* log_sum_exp = nullptr;  // [T, N], or null
};

using AttentionKernel = void (*)(const Fast&, const AttentionWork&);

}  // namespace paligemma
