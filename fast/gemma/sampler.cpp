#include "fast/gemma/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "fast/core/kernels.h"
#include "fast/core/parallel.h"

namespace paligemma {
namespace {

constexpr Index kChunk = 16384;  // logits that one thread takes at a time

// f(some logits, how many) for all of them, a chunk at a time.
template <class Number, class Function>
std::vector<Number> of_chunks(const Fast& on, View<const float, 1> logits, const Function& f) {
  const Index V = logits.size(0), chunks = (V + kChunk - 1) / kChunk;
  std::vector<Number> results(static_cast<std::size_t>(chunks));
  for_each(on, chunks, true, [&](Index i, int) {
    const Index v = i * kChunk;
    results[static_cast<std::size_t>(i)] = f(logits.data() + v, std::min(kChunk, V - v));
  });
  return results;
}

float largest(const Fast& on, View<const float, 1> logits) {
  const auto maxima = of_chunks<float>(on, logits, on.kernels().logits.max);
  return *std::max_element(maxima.begin(), maxima.end());
}

}  // namespace

TokenId sample(const Fast& on, View<const float, 1> logits, const SamplerOptions& options,
               std::uint64_t step) {
  PG_CHECK(logits.size(0) > 0 && logits.is_row_major(), "logits " + shape_text(logits));
  const float max = largest(on, logits);
  const bool greedy = options.temperature == 0 && options.top_k >= 0 && options.top_p >= 0 &&
                      std::abs(max) < INFINITY;
  if (!greedy) return sample(reference, logits, options, step);  // which knows what is wrong, too
  const auto* const end = logits.data() + logits.size(0);
  return static_cast<TokenId>(std::find(logits.data(), end, max) - logits.data());
}

float log_probability(const Fast& on, View<const float, 1> logits, TokenId id) {
  const Index V = logits.size(0);
  PG_CHECK(0 <= id && id < V && logits.is_row_major(),
           "token " + std::to_string(id) + ", logits " + shape_text(logits));
  const float max = largest(on, logits);
  if (!(std::abs(max) < INFINITY)) return log_probability(reference, logits, id);
  const auto sums = of_chunks<double>(on, logits, [&](const float* some, Index count) {
    return on.kernels().logits.sum_exp(some, count, max);
  });
  const double sum = std::accumulate(sums.begin(), sums.end(), 0.0);
  return static_cast<float>(static_cast<double>(logits(id) - max) - std::log(sum));
}

}  // namespace paligemma
