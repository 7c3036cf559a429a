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

}  // namespace paligemma::gemma
