// Cross entropy: how surprised the model is by the token that follows, and what would surprise it less.
//
//   p[b,v]       = softmax_v( logits[b,v] )
//   aim[b,v]     = (1 - smoothing) [v = target[b]] + smoothing / V
//   loss[b]      = -weight[b] sum_v aim[b,v] log p[b,v]
//   dlogits[b,v] = weight[b] (p[b,v] - aim[b,v])
//
//   logits   [B, V]   of the rows whose next token is learned
//   targets  [B]      those tokens, 0 <= target < V
//   weights  [B]      1, or how much a row counts
//   losses   [B]
//   dlogits  [B, V]   the gradient of the sum of the losses; may be logits itself
//
// Softmax and loss are one: log p is a difference of logits and their log-sum-exp, so nothing underflows. A mean over
// tokens is this with weights of one over their number.
//
// Paper: Goodfellow, Bengio & Courville 2016, "Deep learning", section 6.2.2.3; Szegedy et al. 2015, "Rethinking the
// Inception architecture", section 7, for the smoothing, whose share the target has too, as in PyTorch.
//
// Read next: tensor/dropout.h.
#pragma once

#include "gemma/token_embedding.h"  // TokenId
#include "tensor/execution.h"
#include "tensor/view.h"

namespace paligemma {

void cross_entropy(Reference, View<const float, 2> logits, View<const TokenId, 1> targets,
                   View<const float, 1> weights, float smoothing, View<float, 1> losses,
                   View<float, 2> dlogits);

// What every executor asks.
void check_cross_entropy(View<const float, 2> logits, View<const TokenId, 1> targets,
                         View<const float, 1> weights, float smoothing, View<float, 1> losses,
                         View<float, 2> dlogits);

}  // namespace paligemma
