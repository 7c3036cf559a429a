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

// ---- backward --------------------------------------------------------------------------------------

// What the way back reads, of whole sequences, each from its first token on; there is no cache.
template <class On>
struct SelfAttentionActivations {      // R rows of all sequences
  Dropout dropout = {};                // of weights
  BufferOn<On, float, 2> q;            // [R, N * H]   turned
  BufferOn<On, float, 2> k, v;         // [R, K * H]   k turned
  BufferOn<On, float, 2> mixed;        // [R, N * H]   what attention made of the values
  BufferOn<On, float, 2> log_sum_exp;  // [R, N]
  BufferOn<On, KeyRange, 1> visible;   // [R]

  SelfAttentionActivations(const DecoderShape& shape, Index R)
      : q({R, shape.heads * shape.head_size}, unwritten),
        k({R, shape.kv_heads * shape.head_size}, unwritten),
        v({R, shape.kv_heads * shape.head_size}, unwritten),
        mixed({R, shape.heads * shape.head_size}, unwritten),
        log_sum_exp({R, shape.heads}, unwritten),
        visible({R}, unwritten) {}
};

// Calls of_sequence(segment, row, rows, heads): its first row, its rows, and those seen as [T, count, H].
template <class Function>
void for_each_sequence(const DecoderShape& shape, Step step, const Function& of_sequence) {
  Index row = 0;
  for (const Segment& segment : step.segments) {
    PG_CHECK(segment.first == 0, "a sequence is learned from its first token on");
    const auto rows = [row, T = segment.T](auto& buffer) {
      return buffer.view().rows(row, row + T);
    };
    of_sequence(segment, row, rows, [&](auto& buffer, Index count) {
      return rows(buffer).template reshaped<3>({segment.T, count, shape.head_size});
    });
    row += segment.T;
  }
}

// Of the sequence whose first row is `row`.
inline AttentionRule attention_rule(const DecoderShape& shape, Dropout dropout, Index row) {
  dropout.first += row;
  return {shape.query_scale, shape.attention_soft_cap, dropout};
}

// y [R, D] = what attention says of x [R, D].
template <class On, class W, class X, class Y>
void self_attention(const On& on, const SelfAttentionWeights<W>& w, const DecoderShape& shape,
                    Index layer, Step step, const X& x, SelfAttentionActivations<On>& kept,
                    const Y& y) {
  linear(on, x, w.q, kept.q.view());
  linear(on, x, w.k, kept.k.view());
  linear(on, x, w.v, kept.v.view());
  for_each_sequence(shape, step, [&](const Segment& segment, Index row, auto rows, auto heads) {
    const auto q = heads(kept.q, shape.heads), k = heads(kept.k, shape.kv_heads);
    const AttentionRule rule = attention_rule(shape, kept.dropout, row);
    rope(on, 0, shape.rope_theta, q);
    rope(on, 0, shape.rope_theta, k);
    prefix_lm_mask(on, 0, segment.prefix, shape.window[layer], rows(kept.visible));
    scaled_dot_product_attention(on, q, k, heads(kept.v, shape.kv_heads), rows(kept.visible), rule,
                                 heads(kept.mixed, shape.heads), {},
                                 {.log_sum_exp = rows(kept.log_sum_exp)});
  });
  linear(on, kept.mixed.view(), w.out, y);
}

// dx [R, D] += what comes back from dy [R, D]; `d` has room for the gradients of what was kept.
template <class On, class W, class X, class Dy, class Dx, class Gradients>
void self_attention_backward(const On& on, const SelfAttentionWeights<W>& w,
                             const DecoderShape& shape, Step step, const X& x,
                             SelfAttentionActivations<On>& kept, const Dy& dy,
                             SelfAttentionActivations<On>& d, const Dx& dx,
                             const SelfAttentionWeights<Gradients>& dw) {
  for (auto* rows : {&d.q, &d.k, &d.v, &d.mixed}) zero(on, rows->view());
  linear_backward(on, kept.mixed.view(), w.out, dy, d.mixed.view(), dw.out);
  for_each_sequence(shape, step, [&](const Segment&, Index row, auto rows, auto heads) {
    const Index N = shape.heads, K = shape.kv_heads;
    const auto dq = heads(d.q, N), dk = heads(d.k, K);
    scaled_dot_product_attention_backward(
        on,
        {heads(kept.q, N), heads(kept.k, K), heads(kept.v, K), rows(kept.visible),
         attention_rule(shape, kept.dropout, row), heads(kept.mixed, N), rows(kept.log_sum_exp)},
        heads(d.mixed, N), {dq, dk, heads(d.v, K)});
    rope_backward(on, 0, shape.rope_theta, dq);
    rope_backward(on, 0, shape.rope_theta, dk);
  });
  linear_backward(on, x, w.q, d.q.view(), dx, dw.q);
  linear_backward(on, x, w.k, d.k.view(), dx, dw.k);
  linear_backward(on, x, w.v, d.v.view(), dx, dw.v);
}

}  // namespace paligemma::gemma
