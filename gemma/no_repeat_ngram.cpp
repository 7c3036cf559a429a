#include "gemma/no_repeat_ngram.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace paligemma {

void no_repeat_ngram(Index n, std::span<const TokenId> history, View<float, 1> logits) {
  PG_CHECK(n >= 1, std::to_string(n) + "-grams");
  const auto T = static_cast<Index>(history.size());
  if (T < n) return;
  const auto last = history.end() - (n - 1);
  for (auto begin = history.begin(); begin + n <= history.end(); ++begin) {
    const auto end = begin + (n - 1);
    if (!std::equal(begin, end, last)) continue;
    if (0 <= *end && *end < logits.size(0)) logits(*end) = -INFINITY;
  }
}

}  // namespace paligemma
