// Token rules: what changes the logits of a row before a token is chosen, in Hugging Face transformers' order.
//
//   repetition penalty, no repeated n-grams, suppressed tokens      before beams or the sampler
//   temperature, top-k, top-p, min-p                                where a token is drawn
//
//   history  the ids of the sequence so far, image tokens and prompt included
//   logits   [V]   on the host; written over
//
// Each rule is a piece of its own; this says which of them hold, and in which order.
//
// Source: transformers 5.23.0, generation/utils.py, _get_logits_processor. Read next: gemma/beams.h.
#pragma once

#include <cstdint>
#include <set>
#include <span>

#include "gemma/sampler.h"

namespace paligemma {

struct TokenRules {
  float repetition_penalty = 1;       // 1: off
  Index no_repeat_ngram = 0;          // 0: off
  std::set<TokenId> suppressed = {};  // never come; ids that a row has not are passed over
  float min_p = 0;                    // 0: off; of a draw alone

  bool operator==(const TokenRules&) const = default;
};

// Those that do not ask whether there is a draw.
void apply_rules(const TokenRules& rules, std::span<const TokenId> history, View<float, 1> logits);

// The next token by all rules. Throws as sample() does; so does a row whose tokens are all forbidden.
TokenId sample_by_rules(const TokenRules& rules, std::span<const TokenId> history,
                        View<float, 1> logits, const SamplerOptions& options, std::uint64_t step);

}  // namespace paligemma
