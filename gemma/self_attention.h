// Gemma's self-attention: every token looks at the tokens that the mask lets it see, through keys
// and values kept from earlier steps.
//
//   q = rope( linear(x) )                      [T, N, H]
//   k = rope( linear(x) ),  v = linear(x)      [T, K, H], appended to the cache
//   y = linear( attention(q, cached k, cached v) )
//
// No biases. The scale is 1 / sqrt(H) in Gemma 1 and 1 / sqrt(query_pre_attn_scalar) in Gemma 2,
// which are equal in all sizes but the largest. Gemma 2 caps the scores, and in every other layer
// looks back no further than a window.
//
// Paper: Gemma Team 2024, "Gemma", section 2; "Gemma 2", section 2.
//
// Read next: gemma/geglu_mlp.h.
#pragma once

#include "gemma/kv_cache.h"
#include "gemma/prefix_lm_mask.h"
#include "gemma/rope.h"
#include "gemma/scratch.h"
#include "tensor/linear.h"
#include "tensor/scaled_dot_product_attention.h"
#include "tensor/weights.h"

namespace paligemma::gemma {

template <class W>
struct SelfAttentionWeights {
  Linear<W> q;     // [N * H, D]
  Linear<W> k, v;  // [K * H, D]
  Linear<W> out;   // [D, N * H]
};

// Reads s.normed, writes s.branch.
template <class On, class W>
void self_attention(const On& on, const SelfAttentionWeights<W>& w, const DecoderShape& shape,
                    Index layer, Step step, DecoderScratch<On>& s, KvCache<On>& cache) {
  const auto rows = [T = step.T](auto& buffer) { return buffer.view().rows(0, T); };
  linear(on, rows(s.normed), w.q, rows(s.q));
  linear(on, rows(s.normed), w.k, rows(s.k));
  linear(on, rows(s.normed), w.v, rows(s.v));

  const auto heads = [&](auto& buffer, Index count) {
    return rows(buffer).template reshaped<3>({step.T, count, shape.head_size});
  };
  const auto q = heads(s.q, shape.heads), mixed = heads(s.mixed, shape.heads);
  const auto k = heads(s.k, shape.kv_heads), v = heads(s.v, shape.kv_heads);
  rope(on, step.first, shape.rope_theta, q);
  rope(on, step.first, shape.rope_theta, k);
  kv_cache_append(on, k, step.first, cache.keys(layer));
  kv_cache_append(on, v, step.first, cache.values(layer));

  prefix_lm_mask(on, step.first, step.prefix, shape.window[layer], rows(s.visible));
  const Index S = step.first + step.T;
  scaled_dot_product_attention(on, q, cache.keys(layer).rows(0, S), cache.values(layer).rows(0, S),
                               rows(s.visible), {shape.query_scale, shape.attention_soft_cap},
                               mixed);

  linear(on, rows(s.mixed), w.out, rows(s.branch));
}

}  // namespace paligemma::gemma
