#include "zeta/token_filter.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
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

  // Sort tokens by logit, equals by id.
  const Index V = logits.size(0);
  for (Index v = 0; v < V; ++v) {
    if (!(logits(v) < INFINITY)) {  // not taken by a NaN either
      throw std::runtime_error("logit " + std::to_string(v) + " is not a finite number");
    }
  }
  std::vector<Index> order(static_cast<std::size_t>(V));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](Index a, Index b) { return logits(a) > logits(b); });

  // The share of each in the mass of all.
  PG_CHECK(V > 0, "no logits");
  const double max = logits(order[0]);
  if (max == -INFINITY) throw std::runtime_error("every logit is -infinity");
  std::vector<double> p;
  for (Index v : order) p.push_back(std::exp(logits(v) - max));
  const double sum = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& share : p) share /= sum;

  // What stays is the front of the order.
  const auto top_k =
      static_cast<std::size_t>(std::ceil((1 - top_k_share) * static_cast<double>(V)));
  const double least = top_a_ratio * std::pow(p[0], top_a_power);
  double mass = 0;
  std::size_t kept = 0;
  while (kept < top_k && (top_p == 1 || mass <= top_p) && p[kept] >= least) mass += p[kept++];
  for (std::size_t i = kept; i < order.size(); ++i) logits(order[i]) = -INFINITY;
}

}  // namespace paligemma
