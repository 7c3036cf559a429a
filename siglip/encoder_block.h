// One layer of the vision tower: attention, then the MLP, each on a normalised copy, each added
// back.
//
//   x += self_attention( layer_norm(x) )
//   x += mlp( layer_norm(x) )
//
// Paper: Dosovitskiy et al. 2020, "An image is worth 16x16 words", eq. 2 and 3 (pre-norm). Taps:
// sa, +sa, mlp, +mlp.
//
// Read next: siglip/patch_embedding.h.
#pragma once

#include "siglip/mlp.h"
#include "siglip/self_attention.h"
#include "tensor/layer_norm.h"
#include "tensor/residual_add.h"
#include "tensor/tap.h"

namespace paligemma::siglip {

template <class W>
struct LayerNormWeights {
  typename W::Vector scale, bias;  // [D]
};

template <class W>
struct EncoderBlockWeights {
  LayerNormWeights<W> norm1;
  SelfAttentionWeights<W> self_attention;
  LayerNormWeights<W> norm2;
  MlpWeights<W> mlp;
};

template <class On, class W, class Tap>
void encoder_block(const On& on, const EncoderBlockWeights<W>& w, const EncoderShape& shape,
                   EncoderScratch<On>& s, const Tap& tap) {
  layer_norm(on, s.x.view(), w.norm1.scale, w.norm1.bias, shape.norm_eps, s.normed.view());
  self_attention(on, w.self_attention, shape, s);
  tap("sa", s.branch.view());
  residual_add(on, s.branch.view(), s.x.view());
  tap("+sa", s.x.view());

  layer_norm(on, s.x.view(), w.norm2.scale, w.norm2.bias, shape.norm_eps, s.normed.view());
  mlp(on, w.mlp, shape, s);
  tap("mlp", s.branch.view());
  residual_add(on, s.branch.view(), s.x.view());
  tap("+mlp", s.x.view());
}

}  // namespace paligemma::siglip
