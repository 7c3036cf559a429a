// Attention on the CPU, fast. The contract is tensor/scaled_dot_product_attention.h's; nothing is rounded.
//
//   many queries   lanes are queries: scores of R keys at a time, a softmax down the columns, and the
//                  values' sum, by the same tiles as linear's
//   a few          lanes are keys, as they lie, and then numbers of the values; threads share both, so that
//                  each is read from memory once
#pragma once

#include "fast/core/fast.h"
#include "tensor/scaled_dot_product_attention.h"

namespace paligemma {

void scaled_dot_product_attention(const Fast& on, View<const float, 3> q, View<const float, 3> k,
                                  View<const float, 3> v, View<const KeyRange, 1> visible,
                                  AttentionRule rule, View<float, 3> out,
                                  const DistanceBias<>& bias = {}, AttentionMaps<> maps = {});

// Threads share the query heads; of those that share keys the gradients are summed up in their order.
void scaled_dot_product_attention_backward(const Fast& on, const AttentionForward& forward,
                                           View<const float, 3> dout, AttentionGradients d);

}  // namespace paligemma
