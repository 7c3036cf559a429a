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

}  // namespace paligemma::siglip
