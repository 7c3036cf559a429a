// Next-token loss: what rows of the decoder should have said, and what comes back to them.
//
//   loss = sum_b weight[b] ( -log softmax( logits(normed[b]) )[target[b]] )
//
//   rows     [B]      of all tokens those whose next token is learned: of a suffix, the row before each of its tokens
//   normed   [B, D]   what the decoder made of these
//   dnormed  [B, D]   is added to; [0, D] where nothing is learned: the loss alone
//   dhead             likewise; where the head is the embedding table, so is its gradient
//
// Rows are taken a few at a time, so that logits and their gradients, of 257,216 numbers a row, stay small; each time
// is the head's product, the cap, cross entropy, and the way back. The prefix has no rows here: it is not learned to
// be said.
//
// Paper: Beyer et al. 2024, "PaliGemma", section 3.1 ("loss on the suffix only").
//
// Read next: train/cross_entropy.h.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "gemma/decoder.h"
#include "gemma/soft_cap.h"
#include "train/cross_entropy.h"

namespace paligemma {

struct NextTokens {
  std::vector<Index> rows;
  std::vector<TokenId> targets;
  std::vector<float> weights;
  Scale scale = {};  // among the targets (train/cross_entropy.h)
};

// The sum of the losses. `at_once` rows take 2 V floats each.
template <class On, class W, class Normed, class Dnormed, class Gradients>
double next_token_loss(const On& on, const gemma::DecoderWeights<W>& w,
                       const gemma::DecoderShape& shape, const Normed& normed,
                       const NextTokens& next, float smoothing, const Dnormed& dnormed,
                       const Linear<Gradients>& dhead, Index at_once = 64) {
  const auto B = static_cast<Index>(next.rows.size());
  PG_CHECK(next.targets.size() == next.rows.size() && next.weights.size() == next.rows.size(),
           std::to_string(B) + " rows, " + std::to_string(next.targets.size()) + " targets, " +
               std::to_string(next.weights.size()) + " weights");
  PG_CHECK(at_once > 0, "no rows at once");
  const Index most = std::min(at_once, B), V = shape.vocabulary;
  PG_CHECK(normed.size(0) == B,
           "normed " + shape_text(normed) + ", " + std::to_string(B) + " rows");
  BufferOn<On, float, 2> logits({most, V}, unwritten), dlogits({most, V}, unwritten);
  Buffer<float, 1> losses({most});
  double sum = 0;
  for (Index b = 0; b < B; b += most) {
    const Index count = std::min(most, B - b);
    const auto some = [count](auto& buffer) { return buffer.view().rows(0, count); };
    const auto x = normed.rows(b, b + count);
    linear(on, x, w.head, some(logits));
    if (shape.final_soft_cap != kNoSoftCap) soft_cap(on, shape.final_soft_cap, some(logits));
    cross_entropy(on, some(logits), View<const TokenId, 1>(next.targets.data() + b, {count}),
                  View<const float, 1>(next.weights.data() + b, {count}), {smoothing, next.scale},
                  some(losses), some(dlogits));
    for (Index i = 0; i < count; ++i) sum += losses.view()(i);
    if (dnormed.size(0) == 0) continue;

    if (shape.final_soft_cap != kNoSoftCap) {
      soft_cap_backward(on, shape.final_soft_cap, some(logits), some(dlogits));
    }
    linear_backward(on, x, w.head, some(dlogits), dnormed.rows(b, b + count), dhead);
  }
  return sum;
}

}  // namespace paligemma
