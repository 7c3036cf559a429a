// Loss: how surprised a model is by what really came next, in the mean over all tokens.
//
//   loss = mean_t ( -ln softmax(logits[t])[ targets[t] ] )        t where targets[t] is not `ignored`
//
//   logits   [T, V]
//   targets  [T]      0 <= target < V, or `ignored`; of row t of a text the target is token t + 1
//
// Without a target that counts, NaN. Guessing among V tokens is worth ln V.
//
// Paper: none needed; Radford et al. 2018, "Improving language understanding by generative
// pre-training", eq. 1, is its sum. PyTorch: cross_entropy with ignore_index.
//
// Read next: zeta/weights.h.
#pragma once

#include <cmath>

#include "gemma/sampler.h"  // log_probability

namespace paligemma::zeta {

inline constexpr TokenId kIgnored = -100;

// The logits lie where On computes.
template <class On, Space S>
double cross_entropy(const On& on, View<const float, 2, S> logits, View<const TokenId, 1> targets,
                     TokenId ignored = kIgnored) {
  PG_CHECK(targets.size(0) == logits.size(0),
           "targets " + shape_text(targets) + ", logits " + shape_text(logits));
  double sum = 0;
  Index count = 0;
  for (Index t = 0; t < targets.size(0); ++t) {
    if (targets(t) == ignored) continue;
    sum -= log_probability(on, logits.row(t), targets(t));
    ++count;
  }
  return count > 0 ? sum / static_cast<double>(count) : NAN;
}

}  // namespace paligemma::zeta
