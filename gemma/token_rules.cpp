#include "gemma/token_rules.h"

#include <algorithm>
#include <cmath>

#include "gemma/min_p.h"
#include "gemma/no_repeat_ngram.h"
#include "gemma/repetition_penalty.h"

namespace paligemma {

void apply_rules(const TokenRules& rules, std::span<const TokenId> history, View<float, 1> logits) {
  if (rules.repetition_penalty != 1) repetition_penalty(rules.repetition_penalty, history, logits);
  if (rules.no_repeat_ngram > 0) no_repeat_ngram(rules.no_repeat_ngram, history, logits);
  for (const TokenId id : rules.suppressed) {
    if (0 <= id && id < logits.size(0)) logits(id) = -INFINITY;
  }
}

TokenId sample_by_rules(const TokenRules& rules, std::span<const TokenId> history,
                        View<float, 1> logits, const SamplerOptions& options, std::uint64_t step) {
  apply_rules(rules, history, logits);
  SamplerOptions draw = options;
  if (rules.min_p > 0 && draw.temperature > 0) {
    const double kept = min_p(rules.min_p, draw.temperature, logits);
    if (draw.top_p < 1) draw.top_p = static_cast<float>(std::min(draw.top_p / kept, 1.0));
  }
  return sample(reference, logits, draw, step);
}

}  // namespace paligemma
