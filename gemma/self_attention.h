// Gemma's self-attention: every token looks at the tokens that the mask lets it see, through keys
// and values kept from earlier steps.
//
//   q = rope( linear(x) )                      [T, N, H]
//   k = rope( linear(x) ),  v = linear(x)      [T, K, H], appended to the cache
//   y = linear( attention(q, cached k, cached v) )
//
// Linear layers run over all rows of a step, the rest for each segment by itself. No biases. The scale is
// 1 / sqrt(H) in Gemma 1 and 1 / sqrt(query_pre_attn_scalar) in Gemma 2, which are equal in all sizes but the
// largest. Gemma 2 caps the scores, and in every other layer looks back no further than a window.
//
// Paper: Gemma Team 2024, "Gemma", section 2; "Gemma 2", section 2.
//
// Read next: gemma/prefix_lm_mask.h.
#pragma once

#include "gemma/kv_cache.h"
#include "gemma/prefix_lm_mask.h"
#include "gemma/rope.h"
#include "gemma/scratch.h"
#include "gemma/step.h"
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
  const auto all_rows = [T = step.rows()](auto& buffer) { return buffer.view().rows(0, T); };
  linear(on, all_rows(s.normed), w.q, all_rows(s.q));
  linear(on, all_rows(s.normed), w.k, all_rows(s.k));
  linear(on, all_rows(s.normed), w.v, all_rows(s.v));

  Index row = 0;
  for (const auto& [sequence, first, T, prefix] : step.segments) {
    const auto rows = [row, T = T](auto& buffer) { return buffer.view().rows(row, row + T); };
    const auto heads = [&, T = T](auto& buffer, Index count) {
      return rows(buffer).template reshaped<3>({T, count, shape.head_size});
    };
    const auto q = heads(s.q, shape.heads), mixed = heads(s.mixed, shape.heads);
    const auto k = heads(s.k, shape.kv_heads), v = heads(s.v, shape.kv_heads);
    const auto keys = cache.keys(sequence, layer), values = cache.values(sequence, layer);
    rope(on, first, shape.rope_theta, q);
    rope(on, first, shape.rope_theta, k);
    kv_cache_append(on, k, first, keys);
    kv_cache_append(on, v, first, values);

    const Index S = first + T;
    prefix_lm_mask(on, first, prefix, shape.window[layer], rows(s.visible));
    scaled_dot_product_attention(on, q, keys.rows(0, S), values.rows(0, S), rows(s.visible),
                                 {shape.query_scale, shape.attention_soft_cap}, mixed);
    row += T;
  }

  linear(on, all_rows(s.mixed), w.out, all_rows(s.branch));
}

}  // namespace paligemma::gemma
