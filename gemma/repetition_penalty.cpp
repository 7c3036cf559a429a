#include "gemma/repetition_penalty.h"

#include <set>
#include <string>

namespace paligemma {

void repetition_penalty(float penalty, std::span<const TokenId> history, View<float, 1> logits) {
  PG_CHECK(penalty > 0, "a penalty of " + std::to_string(penalty));
  const std::set<TokenId> seen(history.begin(), history.end());
  for (const TokenId id : seen) {
    if (id < 0 || id >= logits.size(0)) continue;
    float& logit = logits(id);
    logit = logit > 0 ? logit / penalty : logit * penalty;
  }
}

}  // namespace paligemma
