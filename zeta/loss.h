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
// Read next: zeta/pipeline.h.
#pragma once

#include <cmath>
#include <span>

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

// z-loss, which training adds so that scores stay small: of each attention's log sum_s exp(score[t,n,s]) the
// sum over all attentions, squared, summed over heads, in the mean over rows.
//
//   log_sum_exps  [T, N] of each attention, in any order; the taps blockNN/log_sum_exp
//
// Paper: Zoph et al. 2022, "ST-MoE", section 3.3, has it of a router's scores.
inline double z_loss(std::span<const View<const float, 2>> log_sum_exps, double weight = 1e-4) {
  PG_CHECK(!log_sum_exps.empty(), "there is an attention");
  const Index T = log_sum_exps[0].size(0), N = log_sum_exps[0].size(1);
  double total = 0;
  for (Index t = 0; t < T; ++t) {
    for (Index n = 0; n < N; ++n) {
      double sum = 0;
      for (const auto& one : log_sum_exps) {
        PG_CHECK(one.shape() == log_sum_exps[0].shape(), "equally many rows and heads");
        sum += one(t, n);
      }
      total += sum * sum;
    }
  }
  return weight * total / static_cast<double>(T);
}

}  // namespace paligemma::zeta
