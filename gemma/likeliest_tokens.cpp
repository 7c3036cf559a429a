#include "gemma/likeliest_tokens.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace paligemma {

std::vector<Choice> likeliest_tokens(View<const float, 1> logits, Index k) {
  const Index V = logits.size(0);
  PG_CHECK(V > 0 && k >= 0, std::to_string(k) + " of logits " + shape_text(logits));
  if (k == 0) return {};
  std::vector<TokenId> ids(static_cast<std::size_t>(V));
  std::iota(ids.begin(), ids.end(), 0);
  const auto end = ids.begin() + std::min(k, V);
  std::partial_sort(ids.begin(), end, ids.end(), [&](TokenId a, TokenId b) {
    return logits(a) != logits(b) ? logits(a) > logits(b) : a < b;
  });

  const float max = logits(ids[0]);
  double sum = 0;
  for (Index v = 0; v < V; ++v) sum += std::exp(logits(v) - max);
  std::vector<Choice> all;
  for (auto id = ids.begin(); id != end; ++id) {
    all.push_back({*id, logits(*id) - max - static_cast<float>(std::log(sum))});
  }
  return all;
}

}  // namespace paligemma
