// What fast/tensor/attention_backward.cpp hands to a kernel. All rows are stretches of memory: [T, N, H], [S, K, H] and
// [T, N].
#pragma once

#include "fast/core/fast.h"
#include "tensor/scaled_dot_product_attention.h"

namespace paligemma {

struct AttentionBackwardWork {
  const float *q, *k, *v, *out, *dout;
  const KeyRange* visible;  // [T], or null: all keys
  const float* log_sum_exp;
  float* dq;
  // Each head's own, [N, S, H], zeros so far: of heads that share keys they are summed up afterwards.
  float *dk, *dv;
  AttentionRule rule;
  Index T, N, H, S, K;
};

using AttentionBackwardKernel = void (*)(const Fast&, const AttentionBackwardWork&);

}  // namespace paligemma
