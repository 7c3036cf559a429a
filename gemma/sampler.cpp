#include "gemma/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "tensor/philox.h"

namespace paligemma {
namespace {

TokenId largest(View<const float, 1> logits) {
  TokenId best = 0;
  for (Index v = 1; v < logits.size(0); ++v) {
    if (logits(v) > logits(best)) best = static_cast<TokenId>(v);
  }
  return best;
}

// Probabilities of all tokens at this temperature. Of a quarter of a million terms a float sum would be
// off by more than some tokens' whole probability.
std::vector<float> probabilities(View<const float, 1> logits, float temperature) {
  std::vector<float> p(static_cast<std::size_t>(logits.size(0)));
  const float max = logits(largest(logits));  // taken away first, lest a tiny temperature overflow
  double sum = 0;
  for (std::size_t v = 0; v < p.size(); ++v) {
    p[v] = std::exp((logits(static_cast<Index>(v)) - max) / temperature);
    sum += p[v];
  }
  for (float& share : p) share = static_cast<float>(share / sum);
  return p;
}

}  // namespace

TokenId sample(Reference, View<const float, 1> logits, const SamplerOptions& options,
               std::uint64_t step) {
  const Index V = logits.size(0);
  PG_CHECK(V > 0, "no logits");
  PG_CHECK(options.temperature >= 0 && options.temperature < INFINITY,
           "temperature " + std::to_string(options.temperature));
  PG_CHECK(options.top_k >= 0 && options.top_p >= 0, "negative sampler option");
  for (Index v = 0; v < V; ++v) {
    if (!(logits(v) < INFINITY)) {  // not taken by a NaN either
      throw std::runtime_error("logit " + std::to_string(v) + " is not a finite number");
    }
  }
  const TokenId best = largest(logits);
  if (logits(best) == -INFINITY) throw std::runtime_error("every logit is -infinity");
  if (options.temperature == 0) return best;

  // Sort tokens by probability, equals by id.
  const std::vector<float> p = probabilities(logits, options.temperature);
  std::vector<TokenId> order(p.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](TokenId a, TokenId b) { return p[a] > p[b]; });

  // Keep the first top_k, then those that the mass before them has not used up.
  std::size_t kept = order.size();
  if (options.top_k > 0) kept = std::min(kept, static_cast<std::size_t>(options.top_k));
  double mass = 0;
  for (std::size_t i = 0; i < kept; ++i) {
    if (options.top_p < 1 && mass > options.top_p) {
      kept = i;
    } else {
      mass += p[order[i]];
    }
  }

  // Draw: walk through the kept tokens until their mass passes the random share of the whole.
  const double target = philox_uniform(options.seed, step) * mass;
  double passed = 0;
  for (std::size_t i = 0; i < kept; ++i) {
    passed += p[order[i]];
    if (passed > target) return order[i];
  }
  return order[kept - 1];
}

float log_probability(Reference, View<const float, 1> logits, TokenId id) {
  PG_CHECK(0 <= id && id < logits.size(0),
           "token " + std::to_string(id) + ", logits " + shape_text(logits));
  const float max = logits(largest(logits));
  double sum = 0;
  for (Index v = 0; v < logits.size(0); ++v) sum += std::exp(logits(v) - max);
  return logits(id) - max - static_cast<float>(std::log(sum));
}

}  // namespace paligemma
