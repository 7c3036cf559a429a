#include "fast/gemma/sampler.h"

#include <algorithm>
#include <cmath>

#include "fast/core/kernels.h"

namespace paligemma {
namespace {

constexpr Index kChunk = 16384;  // logits that one thread takes at a time

float largest(View<const float, 1> logits) {
  const Index V = logits.size(0);
  float max = -INFINITY;  // and not the least finite number, with which a reduction begins
#pragma omp parallel if (V > kChunk)
  {
    float mine = -INFINITY;
#pragma omp for nowait
    for (Index v = 0; v < V; v += kChunk) {
      mine = std::max(mine, kernels().logits.max(logits.data() + v, std::min(kChunk, V - v)));
    }
#pragma omp critical(paligemma_largest_logit)
    max = std::max(max, mine);
  }
  return max;
}

}  // namespace

TokenId sample(Fast, View<const float, 1> logits, const SamplerOptions& options,
               std::uint64_t step) {
  PG_CHECK(logits.size(0) > 0 && logits.is_row_major(), "logits " + shape_text(logits));
  const float max = largest(logits);
  const bool greedy = options.temperature == 0 && options.top_k >= 0 && options.top_p >= 0 &&
                      std::abs(max) < INFINITY;
  if (!greedy) return sample(reference, logits, options, step);  // which knows what is wrong, too
  const auto* const end = logits.data() + logits.size(0);
  return static_cast<TokenId>(std::find(logits.data(), end, max) - logits.data());
}

float log_probability(Fast, View<const float, 1> logits, TokenId id) {
  const Index V = logits.size(0);
  PG_CHECK(0 <= id && id < V && logits.is_row_major(),
           "token " + std::to_string(id) + ", logits " + shape_text(logits));
  const float max = largest(logits);
  if (!(std::abs(max) < INFINITY)) return log_probability(reference, logits, id);
  double sum = 0;
#pragma omp parallel for reduction(+ : sum) if (V > kChunk)
  for (Index v = 0; v < V; v += kChunk) {
    sum += kernels().logits.sum_exp(logits.data() + v, std::min(kChunk, V - v), max);
  }
  return static_cast<float>(static_cast<double>(logits(id) - max) - std::log(sum));
}

}  // namespace paligemma
