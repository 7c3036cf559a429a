// Attention pool: a learned probe looks at all patches, and what it finds is the picture.
//
//   q    = linear(probe)                       [1, D], seen as [1, N, H], H = D / N
//   k, v = linear(x)                           [L, D] each, seen as [L, N, H]
//   y    = linear( attention(q, k, v) )        scale 1 / sqrt(H), no mask
//   y   += linear( gelu( linear( layer_norm(y) ) ) )
//
//   x  [L, D]   encoded patches
//   y  [1, D]
//
// Paper: Zhai et al. 2022, "Scaling Vision Transformers", section 3.2 (MAP, multihead attention
// pooling, after Lee et al. 2019, "Set Transformer", section 3.2). Nothing is added to what
// attention says: the probe is the same for all pictures. SigLIP compares this row with a text's;
// the published PaliGemmas have no such head, and keras_hub's has another GELU and an MLP of D
// features.
//
// Read next: gemma/decoder.h.
#pragma once

#include <cmath>

#include "siglip/encoder_block.h"
#include "siglip/position_embedding.h"

namespace paligemma::siglip {

template <class W>
struct AttentionPoolWeights {
  typename W::Matrix probe;  // [1, D]
  Linear<W> in;              // [3 D, D]: the layers of q, k and v, one behind the other
  Linear<W> out;             // [D, D]
  LayerNormWeights<W> norm;
  MlpWeights<W> mlp;
};

// Reads s.normed.
template <class On, class W, class Y>
void attention_pool(const On& on, const AttentionPoolWeights<W>& w, const EncoderShape& shape,
                    EncoderScratch<On>& s, const Y& y) {
  const Index D = shape.width, N = shape.heads, H = D / N;
  const auto first = [](auto& rows) { return rows.view().rows(0, 1); };
  const auto layer = [&](Index i) {
    return Linear<W>{w.in.weight.rows(i * D, (i + 1) * D), w.in.bias.rows(i * D, (i + 1) * D)};
  };
  zero(on, y);
  position_embedding(on, w.probe, y);  // the probe as activations
  linear(on, y, layer(0), first(s.q));
  linear(on, s.normed.view(), layer(1), s.k.view());
  linear(on, s.normed.view(), layer(2), s.v.view());

  const auto heads = [&](const auto& rows) {
    return rows.template reshaped<3>({rows.size(0), N, H});
  };
  const AttentionRule rule{1.0f / std::sqrt(static_cast<float>(H))};
  scaled_dot_product_attention(on, heads(first(s.q)), heads(s.k.view()), heads(s.v.view()), {},
                               rule, heads(first(s.mixed)));
  linear(on, first(s.mixed), w.out, y);

  const Index F = shape.head_mlp_width;
  PG_CHECK(F <= s.hidden.view().count(), "no room for " + std::to_string(F) + " hidden features");
  const decltype(s.hidden.view()) hidden(s.hidden.view().data(), {1, F});
  layer_norm(on, y, w.norm.scale, w.norm.bias, shape.norm_eps, first(s.branch));
  linear(on, first(s.branch), w.mlp.fc1, hidden, {.activation = shape.head_gelu});
  linear(on, hidden, w.mlp.fc2, y, {.add = true});
}

}  // namespace paligemma::siglip
