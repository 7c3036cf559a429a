// One layer of Gemma: attention, then the MLP, each on a normalised copy, each added back.
//
//   Norms::pre, in Gemma 1                     Norms::pre_and_post, in Gemma 2
//   x += self_attention( rms_norm(x) )         x += rms_norm( self_attention( rms_norm(x) ) )
//   x += geglu_mlp( rms_norm(x) )              x += rms_norm( geglu_mlp( rms_norm(x) ) )
//
// Beware of the names in a checkpoint: `post_attention_layernorm` is the norm before the MLP in
// Gemma 1, and the norm after attention in Gemma 2. Loading one as the other gives fluent nonsense.
//
// Paper: Gemma Team 2024, "Gemma", section 2; "Gemma 2", section 2 ("Post-norm and pre-norm with
// RMSNorm"). Taps: attn, +attn, mlp, +mlp; the post norms of Gemma 2 are inside attn and mlp.
//
// Read next: gemma/token_embedding.h.
#pragma once

#include <span>

#include "gemma/geglu_mlp.h"
#include "gemma/rms_norm.h"
#include "gemma/self_attention.h"
#include "tensor/residual_add.h"
#include "tensor/tap.h"

namespace paligemma::gemma {

template <class W>
struct DecoderBlockWeights {  // norms [D]
  typename W::Vector pre_attention_norm;
  SelfAttentionWeights<W> self_attention;
  typename W::Vector post_attention_norm;  // Norms::pre_and_post only
  typename W::Vector pre_mlp_norm;
  GegluMlpWeights<W> mlp;
  typename W::Vector post_mlp_norm;  // Norms::pre_and_post only
};

template <class On, class W, class Tap>
void decoder_block(const On& on, const DecoderBlockWeights<W>& w, const DecoderShape& shape,
                   Index layer, Step step, DecoderScratch<On>& s, KvCache<On>& cache,
                   const Tap& tap) {
  const auto rows = [T = step.rows()](auto& buffer) { return buffer.view().rows(0, T); };
  const auto x = rows(s.x), normed = rows(s.normed), branch = rows(s.branch);
  const RmsNormRule rule{shape.norm_eps, shape.norm_offset};

  rms_norm(on, x, w.pre_attention_norm, rule, normed);
  self_attention(on, w.self_attention, shape, layer, step, s, cache);
  if (shape.norms == Norms::pre_and_post) rms_norm(on, branch, w.post_attention_norm, rule, branch);
  tap("attn", branch);
  residual_add(on, branch, x);
  tap("+attn", x);

  rms_norm(on, x, w.pre_mlp_norm, rule, normed);
  geglu_mlp(on, w.mlp, shape, step, s);
  if (shape.norms == Norms::pre_and_post) rms_norm(on, branch, w.post_mlp_norm, rule, branch);
  tap("mlp", branch);
  residual_add(on, branch, x);
  tap("+mlp", x);
}

// ---- backward --------------------------------------------------------------------------------------

// What the way back reads, besides what the block read itself. Dropout is where Keras has it: of attention's weights,
// and of what attention adds to the stream.
//
// Of the last block some rows alone are asked for, those whose next token is learned. All rows meet in its attention;
// its MLP computes those B, one behind the other. Where `asked` is empty, B is R.
template <class On>
struct DecoderBlockActivations {       // R rows
  Dropout dropout = {};                // of what is added
  BufferOn<On, float, 2> normed_attn;  // [R, D]
  SelfAttentionActivations<On> attention;
  BufferOn<On, float, 2> attn;             // [R, D]   before the norm that Gemma 2 has behind it
  BufferOn<On, float, 2> x_attn;           // [R, D]   +attn
  BufferOn<On, float, 2> x_asked{{0, 0}};  // [B, D]   the rows of it that are asked for, if not all
  BufferOn<On, float, 2> normed_mlp;       // [R, D]
  GegluMlpActivations<On> mlp;
  BufferOn<On, float, 2> mlp_out;  // [R, D]   as attn

  DecoderBlockActivations(const DecoderShape& shape, Index R)
      : normed_attn({R, shape.width}, unwritten),
        attention(shape, R),
        attn({R, shape.width}, unwritten),
        x_attn({R, shape.width}, unwritten),
        normed_mlp({R, shape.width}, unwritten),
        mlp(shape, R),
        mlp_out({R, shape.width}, unwritten) {}
};

// The gradients of one block at a time.
template <class On>
struct DecoderBlockGradients {
  SelfAttentionActivations<On> attention;
  GegluMlpActivations<On> mlp;
  BufferOn<On, float, 2> normed, branch, dropped;  // [R, D]

  DecoderBlockGradients(const DecoderShape& shape, Index R)
      : attention(shape, R),
        mlp(shape, R),
        normed({R, shape.width}, unwritten),
        branch({R, shape.width}, unwritten),
        dropped({R, shape.width}, unwritten) {}
};

// The stream behind the block, y [B, D], of the stream before it, x [R, D].
template <class On, class W, class X, class Y>
void decoder_block(const On& on, const DecoderBlockWeights<W>& w, const DecoderShape& shape,
                   Index layer, Step step, const X& x, DecoderBlockActivations<On>& kept,
                   const Y& y, std::span<const Index> asked = {}) {
  const RmsNormRule rule{shape.norm_eps, shape.norm_offset};
  const auto x_attn = kept.x_attn.view();
  // to = from + dropout( branch ), or of its norm
  const auto add = [&](const auto& from, const auto& branch, const auto& norm, const auto& to,
                       const Dropout& left_out) {
    if (shape.norms == Norms::pre) {
      copy(on, branch, to);
    } else {
      rms_norm(on, branch, norm, rule, to);
    }
    dropout(on, left_out, to);
    residual_add(on, from, to);
  };
  rms_norm(on, x, w.pre_attention_norm, rule, kept.normed_attn.view());
  self_attention(on, w.self_attention, shape, layer, step, kept.normed_attn.view(), kept.attention,
                 kept.attn.view());
  add(x, kept.attn.view(), w.post_attention_norm, x_attn, kept.dropout);

  const auto rows = [B = y.size(0)](auto& buffer) { return buffer.view().rows(0, B); };
  if (!asked.empty()) kept.x_asked = BufferOn<On, float, 2>(y.shape(), unwritten);
  for (Index b = 0; b < std::ssize(asked); ++b) {
    copy(on, x_attn.rows(asked[b], asked[b] + 1), kept.x_asked.view().rows(b, b + 1));
  }
  const auto x_asked = asked.empty() ? x_attn : kept.x_asked.view();
  rms_norm(on, x_asked, w.pre_mlp_norm, rule, rows(kept.normed_mlp));
  geglu_mlp(on, w.mlp, shape, rows(kept.normed_mlp), kept.mlp, rows(kept.mlp_out));
  add(x_asked, rows(kept.mlp_out), w.post_mlp_norm, y, {});
}

// dx [R, D]: in its first B rows, the gradient of the stream behind the block; out, of the stream before it.
template <class On, class W, class X, class Dx, class Gradients>
void decoder_block_backward(const On& on, const DecoderBlockWeights<W>& w,
                            const DecoderShape& shape, Step step, const X& x,
                            DecoderBlockActivations<On>& kept, DecoderBlockGradients<On>& d,
                            const Dx& dx, const DecoderBlockWeights<Gradients>& dw,
                            std::span<const Index> asked = {}) {
  const RmsNormRule rule{shape.norm_eps, shape.norm_offset};
  // What reaches a branch of the stream's gradient.
  const auto into = [&](const Dx& dstream, const auto& branch, const auto& norm, const auto& dnorm,
                        const Dropout& left_out) {
    const Index B = dstream.size(0);
    Dx dy = dstream;
    if (left_out.rate > 0) {
      dy = d.dropped.view().rows(0, B);
      copy(on, dstream, dy);
      dropout(on, left_out, dy);
    }
    if (shape.norms == Norms::pre) return dy;
    const Dx dbranch = d.branch.view().rows(0, B);
    zero(on, dbranch);
    rms_norm_backward(on, branch, norm, rule, dy, dbranch, dnorm);
    return dbranch;
  };
  const Index B = asked.empty() ? dx.size(0) : std::ssize(asked);
  const auto rows = [B](auto& buffer) { return buffer.view().rows(0, B); };
  const Dx dasked = dx.rows(0, B);
  zero(on, rows(d.normed));
  geglu_mlp_backward(on, w.mlp, shape, rows(kept.normed_mlp), kept.mlp,
                     into(dasked, rows(kept.mlp_out), w.post_mlp_norm, dw.post_mlp_norm, {}), d.mlp,
                     rows(d.normed), dw.mlp);
  rms_norm_backward(on, asked.empty() ? kept.x_attn.view() : kept.x_asked.view(), w.pre_mlp_norm,
                    rule, rows(d.normed), dasked, dw.pre_mlp_norm);
  if (!asked.empty()) {  // back to their places
    BufferOn<On, float, 2> all(dx.shape());
    for (Index b = 0; b < B; ++b) {
      residual_add(on, dx.rows(b, b + 1), all.view().rows(asked[b], asked[b] + 1));
    }
    copy(on, all.view(), dx);
  }

  const auto dnormed = d.normed.view();
  zero(on, dnormed);
  self_attention_backward(
      on, w.self_attention, shape, step, kept.normed_attn.view(), kept.attention,
      into(dx, kept.attn.view(), w.post_attention_norm, dw.post_attention_norm, kept.dropout),
      d.attention, dnormed, dw.self_attention);
  rms_norm_backward(on, x, w.pre_attention_norm, rule, dnormed, dx, dw.pre_attention_norm);
}

}  // namespace paligemma::gemma
