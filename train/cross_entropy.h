// Cross entropy: how surprised the model is by the token that follows, and what would surprise it less.
//
//   p[b,v]       = softmax_v( logits[b,v] )
//   aim[b,v]     = (1 - smoothing) near[b,v] + smoothing / V
//   near[b,v]    = [v = target[b]]
//                  exp( -((v - target[b]) / width)^2 / 2 ) / its sum      of a target on the scale, over the scale
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
// A scale is a run of tokens that stand for numbers, as <loc0000> to <loc1023> do: with a width a neighbour of the
// right one is nearly right, not wholly wrong.
//
// Paper: Goodfellow, Bengio & Courville 2016, "Deep learning", section 6.2.2.3; Szegedy et al. 2015, "Rethinking the
// Inception architecture", section 7, for the smoothing, whose share the target has too, as in PyTorch; Diaz & Marathe
// 2019, "Soft labels for ordinal regression", for the scale.
//
// Read next: tensor/dropout.h.
#pragma once

#include <vector>

#include "gemma/token_embedding.h"  // TokenId
#include "tensor/execution.h"
#include "tensor/view.h"

namespace paligemma {

// Tokens first, first + 1, ..., last - 1 are numbers in their order; without a width, words like all others.
struct Scale {
  TokenId first = 0, last = 0;
  float width = 0;

  bool has(TokenId token) const { return width > 0 && first <= token && token < last; }
};

struct Aim {
  float smoothing = 0;  // the share that all tokens have alike
  Scale scale = {};
};

void cross_entropy(Reference, View<const float, 2> logits, View<const TokenId, 1> targets,
                   View<const float, 1> weights, const Aim& aim, View<float, 1> losses,
                   View<float, 2> dlogits);

// near of each token of a scale that the target is on.
std::vector<float> near_on(const Scale& scale, TokenId target);

// What every executor asks.
void check_cross_entropy(View<const float, 2> logits, View<const TokenId, 1> targets,
                         View<const float, 1> weights, const Aim& aim, View<float, 1> losses,
                         View<float, 2> dlogits);

}  // namespace paligemma
