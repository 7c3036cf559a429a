// SigLIP's self-attention: every patch looks at every patch.
//
//   q, k, v = linear(x)                        [L, D] each, seen as [L, N, H], H = D / N
//   y       = linear( attention(q, k, v) )     scale 1 / sqrt(H), no mask, biases throughout
//
// Paper: Dosovitskiy et al. 2020, "An image is worth 16x16 words", appendix A.
//
// Read next: tensor/scaled_dot_product_attention.h.
#pragma once

#include <cmath>

#include "siglip/scratch.h"
#include "tensor/linear.h"
#include "tensor/scaled_dot_product_attention.h"
#include "tensor/weights.h"

namespace paligemma::siglip {

template <class W>
struct SelfAttentionWeights {
  Linear<W> q, k, v, out;  // [D, D] each, with bias
};

// Reads s.normed, writes s.branch.
template <class On, class W>
void self_attention(const On& on, const SelfAttentionWeights<W>& w, const EncoderShape& shape,
                    EncoderScratch<On>& s) {
  linear(on, s.normed.view(), w.q, s.q.view());
  linear(on, s.normed.view(), w.k, s.k.view());
  linear(on, s.normed.view(), w.v, s.v.view());

  const Index L = shape.patches(), N = shape.heads, H = shape.width / N;
  const auto heads = [&](auto& rows) { return rows.view().template reshaped<3>({L, N, H}); };
  const AttentionRule rule{1.0f / std::sqrt(static_cast<float>(H))};
  scaled_dot_product_attention(on, heads(s.q), heads(s.k), heads(s.v), {}, rule, heads(s.mixed));

  linear(on, s.mixed.view(), w.out, s.branch.view());
}

// ---- backward --------------------------------------------------------------------------------------

// What the way back reads, of several pictures, whose rows stand one behind the other.
template <class On>
struct SelfAttentionActivations {      // R rows, L of each picture; N heads
  BufferOn<On, float, 2> q, k, v;      // [R, D]
  BufferOn<On, float, 2> mixed;        // [R, D]   what attention made of the values
  BufferOn<On, float, 2> log_sum_exp;  // [R, N]

  SelfAttentionActivations(const EncoderShape& shape, Index R)
      : q({R, shape.width}, unwritten),
        k({R, shape.width}, unwritten),
        v({R, shape.width}, unwritten),
        mixed({R, shape.width}, unwritten),
        log_sum_exp({R, shape.heads}, unwritten) {}
};

// Calls of_picture(heads): heads(rows) are the rows of a picture, seen as [L, N, H].
template <class Function>
void for_each_picture(const EncoderShape& shape, Index R, const Function& of_picture) {
  const Index L = shape.patches(), N = shape.heads, H = shape.width / N;
  for (Index row = 0; row < R; row += L) {
    of_picture(row, [=](auto& rows) {
      return rows.view().rows(row, row + L).template reshaped<3>({L, N, H});
    });
  }
}

// y [R, D] += what attention says of x [R, D].
template <class On, class W, class X, class Y>
void self_attention(const On& on, const SelfAttentionWeights<W>& w, const EncoderShape& shape,
                    const X& x, SelfAttentionActivations<On>& kept, const Y& y) {
  linear(on, x, w.q, kept.q.view());
  linear(on, x, w.k, kept.k.view());
  linear(on, x, w.v, kept.v.view());
  const Index H = shape.width / shape.heads;
  const AttentionRule rule{1.0f / std::sqrt(static_cast<float>(H))};
  for_each_picture(shape, x.size(0), [&](Index row, const auto& heads) {
    scaled_dot_product_attention(
        on, heads(kept.q), heads(kept.k), heads(kept.v), {}, rule, heads(kept.mixed), {},
        {.log_sum_exp = kept.log_sum_exp.view().rows(row, row + shape.patches())});
  });
  linear(on, kept.mixed.view(), w.out, y, {.add = true});
}

// dx [R, D] += what comes back from dy [R, D]; `d` has room for the gradients of what was kept.
template <class On, class W, class X, class Dy, class Dx, class Gradients>
void self_attention_backward(const On& on, const SelfAttentionWeights<W>& w,
                             const EncoderShape& shape, const X& x,
                             SelfAttentionActivations<On>& kept, const Dy& dy,
                             SelfAttentionActivations<On>& d, const Dx& dx,
                             const SelfAttentionWeights<Gradients>& dw) {
  for (auto* rows : {&d.q, &d.k, &d.v, &d.mixed}) zero(on, rows->view());
  linear_backward(on, kept.mixed.view(), w.out, dy, d.mixed.view(), dw.out);
  const Index H = shape.width / shape.heads;
  const AttentionRule rule{1.0f / std::sqrt(static_cast<float>(H))};
  for_each_picture(shape, x.size(0), [&](Index row, const auto& heads) {
    scaled_dot_product_attention_backward(
        on,
        {heads(kept.q),
         heads(kept.k),
         heads(kept.v),
         {},
         rule,
         heads(kept.mixed),
         kept.log_sum_exp.view().rows(row, row + shape.patches())},
        heads(d.mixed), {heads(d.q), heads(d.k), heads(d.v)});
  });
  linear_backward(on, x, w.q, d.q.view(), dx, dw.q);
  linear_backward(on, x, w.k, d.k.view(), dx, dw.k);
  linear_backward(on, x, w.v, d.v.view(), dx, dw.v);
}

}  // namespace paligemma::siglip
