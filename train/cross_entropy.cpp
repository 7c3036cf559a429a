#include "train/cross_entropy.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace paligemma {

void check_cross_entropy(View<const float, 2> logits, View<const TokenId, 1> targets,
                         View<const float, 1> weights, float smoothing, View<float, 1> losses,
                         View<float, 2> dlogits) {
  const Index B = logits.size(0), V = logits.size(1);
  PG_CHECK(targets.size(0) == B && weights.size(0) == B && losses.size(0) == B,
           "logits " + shape_text(logits) + ", targets " + shape_text(targets) + ", weights " +
               shape_text(weights) + ", losses " + shape_text(losses));
  PG_CHECK(dlogits.shape() == logits.shape(),
           "logits " + shape_text(logits) + ", dlogits " + shape_text(dlogits));
  PG_CHECK(0 <= smoothing && smoothing < 1, "smoothing " + std::to_string(smoothing));
  for (Index b = 0; b < B; ++b) {
    PG_CHECK(0 <= targets(b) && targets(b) < V,
             "target " + std::to_string(targets(b)) + " of " + std::to_string(V));
  }
}

void cross_entropy(Reference, View<const float, 2> logits, View<const TokenId, 1> targets,
                   View<const float, 1> weights, float smoothing, View<float, 1> losses,
                   View<float, 2> dlogits) {
  check_cross_entropy(logits, targets, weights, smoothing, losses, dlogits);
  const Index B = logits.size(0), V = logits.size(1);
#pragma omp parallel for
  for (Index b = 0; b < B; ++b) {
    float max = -std::numeric_limits<float>::infinity();
    for (Index v = 0; v < V; ++v) max = std::max(max, logits(b, v));
    double sum_exp = 0, sum = 0;  // V is large
    for (Index v = 0; v < V; ++v) {
      sum_exp += std::exp(logits(b, v) - max);
      sum += logits(b, v) - max;
    }
    const auto log_sum = static_cast<float>(std::log(sum_exp));

    const float share = smoothing / static_cast<float>(V);
    const float aimed_at =
        (1 - smoothing) * (logits(b, targets(b)) - max) + share * static_cast<float>(sum);
    losses(b) = weights(b) * (log_sum - aimed_at);
    for (Index v = 0; v < V; ++v) {
      const float aim = (v == targets(b) ? 1 - smoothing : 0.0f) + share;
      dlogits(b, v) = weights(b) * (std::exp(logits(b, v) - max - log_sum) - aim);
    }
  }
}

}  // namespace paligemma
