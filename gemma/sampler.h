// Sampler: choose the next token from the logits.
//
//   temperature 0    the token with the largest logit; of equals, the one with the lowest id
//   otherwise        p = softmax(logits / temperature), sorted from large to small; keep the first
//                    top_k; keep token i while the mass before it, sum_{j<i} p_j, is at most top_p
//                    (so the most probable one always stays); draw one of those left with
//                    probability p_i / sum p
//
//   logits  [V]   a NaN or +infinity is an error; -infinity is never drawn, and a row of nothing
//                 else is an error
//
// Papers: Fan et al. 2018, "Hierarchical neural story generation", section 5.4 (top-k); Holtzman et
// al. 2019, "The curious case of neural text degeneration", section 3.1 (top-p, there "nucleus").
// The random number is Philox's for (seed, step), so a run is repeated by its seed alone. The top-p
// rule is the one of the best-known teaching implementations. Hugging Face's differs where the mass
// before a token equals top_p exactly, and where top_k is on as well: it then measures the mass as a
// share of the top_k tokens, not of all.
//
// Read next: gemma/repetition_penalty.h.
#pragma once

#include <cstdint>

#include "gemma/token_embedding.h"  // TokenId
#include "tensor/execution.h"
#include "tensor/view.h"

namespace paligemma {

struct SamplerOptions {
  float temperature = 0;  // 0: greedy
  Index top_k = 0;        // 0: off
  float top_p = 1;        // 1: off
  std::uint64_t seed = 0;

  bool operator==(const SamplerOptions&) const = default;
};

TokenId sample(Reference, View<const float, 1> logits, const SamplerOptions& options,
               std::uint64_t step);

// The natural logarithm of softmax(logits)[id]: how sure the model was.
float log_probability(Reference, View<const float, 1> logits, TokenId id);

}  // namespace paligemma
