#include "zeta/token_filter.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>
#include <vector>

namespace paligemma {

void filter_tokens(const TokenFilter& filter, View<float, 1> logits) {
  const auto& [top_k_share, top_p, top_a_ratio, top_a_power] = filter;
  PG_CHECK(0 <= top_k_share && top_k_share < 1, "a share of " + std::to_string(top_k_share));
  PG_CHECK(0 <= top_p && top_p <= 1, "top_p " + std::to_string(top_p));
  PG_CHECK(0 <= top_a_ratio && top_a_ratio <= 1 && top_a_power >= 1,
           std::to_string(top_a_ratio) + " of power " + std::to_string(top_a_power) +
               " may be more than the largest");
  if (filter == TokenFilter{}) return;

  const Index V = logits.size(0);
  PG_CHECK(V > 0, "no logits");
  for (Index v = 0; v < V; ++v) {
    if (!(logits(v) < INFINITY)) {  // not taken by a NaN either
      throw std::runtime_error("logit " + std::to_string(v) + " is not a finite number");
    }
  }

  // All tokens as a heap: on top the largest logit, of equals the one with the lowest id.
  std::vector<std::pair<float, Index>> heap;  // logit, -id
  for (Index v = 0; v < V; ++v) heap.emplace_back(logits(v), -v);
  std::make_heap(heap.begin(), heap.end());
  const double max = heap[0].first;
  if (max == -INFINITY) throw std::runtime_error("every logit is -infinity");
  double sum = 0;
  for (Index v = 0; v < V; ++v) sum += std::exp(logits(v) - max);

  // Take from the top what stays.
  const double top_k = std::ceil((1 - top_k_share) * static_cast<double>(V));
  const double least = top_a_ratio * std::pow(1 / sum, top_a_power);
  double mass = 0;
  for (Index kept = 0; static_cast<double>(kept) < top_k; ++kept) {
    const double p = std::exp(heap[0].first - max) / sum;
    if ((top_p < 1 && mass > top_p) || p < least) break;
    mass += p;
    std::pop_heap(heap.begin(), heap.end());
    heap.pop_back();
  }
  for (const auto& [logit, minus_id] : heap) logits(-minus_id) = -INFINITY;
}

}  // namespace paligemma
