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

// ---- backward --------------------------------------------------------------------------------------

// What the way back reads, of several pictures, besides what the block read itself.
template <class On>
struct EncoderBlockActivations {   // R rows
  BufferOn<On, float, 2> normed1;  // [R, D]
  SelfAttentionActivations<On> sa;
  BufferOn<On, float, 2> x_sa;     // [R, D]   +sa
  BufferOn<On, float, 2> normed2;  // [R, D]
  MlpActivations<On> mlp;

  EncoderBlockActivations(const EncoderShape& shape, Index R)
      : normed1({R, shape.width}, unwritten),
        sa(shape, R),
        x_sa({R, shape.width}, unwritten),
        normed2({R, shape.width}, unwritten),
        mlp(shape, R) {}
};

// The gradients of one block at a time.
template <class On>
struct EncoderBlockGradients {
  SelfAttentionActivations<On> sa;
  BufferOn<On, float, 2> normed;  // [R, D]
  BufferOn<On, float, 2> hidden;  // [R, F]

  EncoderBlockGradients(const EncoderShape& shape, Index R)
      : sa(shape, R),
        normed({R, shape.width}, unwritten),
        hidden({R, shape.mlp_width}, unwritten) {}
};

// The stream behind the block, y [R, D], of the stream before it, x [R, D].
template <class On, class W, class X, class Y>
void encoder_block(const On& on, const EncoderBlockWeights<W>& w, const EncoderShape& shape,
                   const X& x, EncoderBlockActivations<On>& kept, const Y& y) {
  const auto x_sa = kept.x_sa.view();
  layer_norm(on, x, w.norm1.scale, w.norm1.bias, shape.norm_eps, kept.normed1.view());
  copy(on, x, x_sa);
  self_attention(on, w.self_attention, shape, kept.normed1.view(), kept.sa, x_sa);
  layer_norm(on, x_sa, w.norm2.scale, w.norm2.bias, shape.norm_eps, kept.normed2.view());
  copy(on, x_sa, y);
  mlp(on, w.mlp, shape, kept.normed2.view(), kept.mlp, y);
}

// dx [R, D]: in, the gradient of the stream behind the block; out, of the stream before it.
template <class On, class W, class X, class Dx, class Gradients>
void encoder_block_backward(const On& on, const EncoderBlockWeights<W>& w,
                            const EncoderShape& shape, const X& x,
                            EncoderBlockActivations<On>& kept, EncoderBlockGradients<On>& d,
                            const Dx& dx, const EncoderBlockWeights<Gradients>& dw) {
  const auto dnormed = d.normed.view();
  zero(on, dnormed);
  mlp_backward(on, w.mlp, shape, kept.normed2.view(), kept.mlp, dx, d.hidden.view(), dnormed,
               dw.mlp);
  layer_norm_backward(on, kept.x_sa.view(), w.norm2.scale, shape.norm_eps, dnormed, dx,
                      dw.norm2.scale, dw.norm2.bias);
  zero(on, dnormed);
  self_attention_backward(on, w.self_attention, shape, kept.normed1.view(), kept.sa, dx, d.sa,
                          dnormed, dw.self_attention);
  layer_norm_backward(on, x, w.norm1.scale, shape.norm_eps, dnormed, dx, dw.norm1.scale,
                      dw.norm1.bias);
}

}  // namespace paligemma::siglip
