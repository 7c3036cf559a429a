// Scaled dot-product attention: every query takes a weighted mean of the values, weighted by how
// well it matches their keys.
//
//   score[t,n,s]  = cap( scale * sum_h q[t,n,h] k[s,g,h] ) + bias[t,n,s]    g = kv_head_of(n)
//   weight[t,n,s] = softmax_s( score[t,n,s] )         s over the keys that t may see
//   out[t,n,h]    = sum_s weight[t,n,s] v[s,g,h]
//
//   q        [T, N, H]   T queries, N heads of size H
//   k, v     [S, K, H]   S keys; K heads, each shared by N / K query heads
//   visible  [T]         the keys that each query may see: begin <= s < end, at least one;
//                        an empty view if every query sees every key, as in SigLIP
//   out      [T, N, H]   must not overlap q, k or v
//   bias                 by the distance of query and key; none in PaliGemma (tensor/distance_bias.h)
//   maps                 for whoever asks to see the weights, and log sum_s exp(score[t,n,s])
//
// While a model learns, dropout (tensor/dropout.h) may leave out weights behind the softmax; maps show all of them.
//
// The H numbers of a head must be contiguous; heads and rows may lie anywhere. Keys and values are a
// sequence's own, from a cache that grows (gemma/kv_cache.h), or those of something else, computed
// once: cross-attention.
//
// Paper: Vaswani et al. 2017, "Attention is all you need", eq. 1; Ainslie et al. 2023, "GQA",
// section 2.2, for the shared heads, which are read where they are and never copied. cap(s) is
// soft_cap tanh(s / soft_cap), in Gemma 2 only, applied after the scale and before the mask.
//
// A mask of PaliGemma is always an interval of keys per query, the prefix or the past
// (gemma/prefix_lm_mask.h). So a mask is two numbers, and no masked score is ever computed.
//
// Read next: tensor/softmax.h.
#pragma once

#include <cmath>

#include "tensor/distance_bias.h"
#include "tensor/dropout.h"
#include "tensor/execution.h"
#include "tensor/host_device.h"
#include "tensor/view.h"

namespace paligemma {

// The keys begin, begin + 1, ..., end - 1.
struct KeyRange {
  Index begin;
  Index end;
};

inline constexpr float kNoSoftCap = 0.0f;

struct AttentionRule {
  float scale;                  // 1 / sqrt(H) unless the checkpoint says otherwise
  float soft_cap = kNoSoftCap;  // Gemma 2: 50
  Dropout dropout = {};         // of weight[t,n,s], in row t and column n S + s; no kernel has it
};

// What attention shows of itself. A view that is left out costs nothing; the others are row-major.
template <Space S = Space::host>
struct AttentionMaps {
  View<float, 3, S> weights = {};      // [T, N, S]   0 for the keys that a query does not see
  View<float, 2, S> log_sum_exp = {};  // [T, N]
};

// Which of K shared heads query head n of N uses: neighbours share.
PG_HOST_DEVICE constexpr Index kv_head_of(Index n, Index N, Index K) { return n / (N / K); }

// Squeezes any number into (-cap, cap), leaving small ones almost as they are.
PG_HOST_DEVICE inline float soft_capped(float x, float cap) { return cap * std::tanh(x / cap); }

// Throws ContractError if the shapes or ranges do not fit together, as above.
void check_attention(View<const float, 3> q, View<const float, 3> k, View<const float, 3> v,
                     View<const KeyRange, 1> visible, View<const float, 3> out);
template <Space S>
void check_attention(const DistanceBias<S>& bias, const AttentionMaps<S>& maps, Index T, Index N,
                     Index keys);

void scaled_dot_product_attention(Reference, View<const float, 3> q, View<const float, 3> k,
                                  View<const float, 3> v, View<const KeyRange, 1> visible,
                                  AttentionRule rule, View<float, 3> out,
                                  const DistanceBias<>& bias = {}, AttentionMaps<> maps = {});

// Backward, from dout [T, N, H] and log_sum_exp [T, N]. The weights are computed again:
//
//   weight[t,n,s]  = exp( score[t,n,s] - log_sum_exp[t,n] )
//   dscore[t,n,s]  = weight[t,n,s] ( sum_h dout[t,n,h] v[s,g,h] - sum_h dout[t,n,h] out[t,n,h] )
//   dproduct       = dscore scale cap'           cap' = 1 - (score / soft_cap)^2, or 1
//
//   dq[t,n,h] += sum_s dproduct[t,n,s] k[s,g,h]
//   dk[s,g,h] += sum_t,n dproduct[t,n,s] q[t,n,h]          over the N / K heads that share k
//   dv[s,g,h] += sum_t,n weight[t,n,s] dout[t,n,h]
//
// Without a bias. With dropout the weight of dv and the first sum of dscore have its factor; `out` has it already.
//
// Paper: Dao et al. 2022, "FlashAttention", algorithm 4 and appendix B.2.
struct AttentionForward {
  View<const float, 3> q, k, v;
  View<const KeyRange, 1> visible;
  AttentionRule rule;
  View<const float, 3> out;
  View<const float, 2> log_sum_exp;
};
struct AttentionGradients {
  View<float, 3> q, k, v;
};
void scaled_dot_product_attention_backward(Reference, const AttentionForward& forward,
                                           View<const float, 3> dout, AttentionGradients d);
void check_attention_backward(const AttentionForward& forward, View<const float, 3> dout,
                              const AttentionGradients& d);

}  // namespace paligemma
