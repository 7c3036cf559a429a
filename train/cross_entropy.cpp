#include "train/cross_entropy.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace paligemma {

void check_cross_entropy(View<const float, 2> logits, View<const TokenId, 1> targets,
                         View<const float, 1> weights, const Aim& aim, View<float, 1> losses,
                         View<float, 2> dlogits) {
  const Index B = logits.size(0), V = logits.size(1);
  PG_CHECK(targets.size(0) == B && weights.size(0) == B && losses.size(0) == B,
           "logits " + shape_text(logits) + ", targets " + shape_text(targets) + ", weights " +
               shape_text(weights) + ", losses " + shape_text(losses));
  PG_CHECK(dlogits.shape() == logits.shape(),
           "logits " + shape_text(logits) + ", dlogits " + shape_text(dlogits));
  PG_CHECK(0 <= aim.smoothing && aim.smoothing < 1, "smoothing " + std::to_string(aim.smoothing));
  const Scale& scale = aim.scale;
  PG_CHECK(0 <= scale.first && scale.first <= scale.last && scale.last <= V,
           "scale " + std::to_string(scale.first) + " to " + std::to_string(scale.last));
  for (Index b = 0; b < B; ++b) {
    PG_CHECK(0 <= targets(b) && targets(b) < V,
             "target " + std::to_string(targets(b)) + " of " + std::to_string(V));
  }
}

std::vector<float> near_on(const Scale& scale, TokenId target) {
  std::vector<float> near;
  double sum = 0;
  for (TokenId v = scale.first; v < scale.last; ++v) {
    const double steps = (v - target) / double{scale.width};
    near.push_back(static_cast<float>(std::exp(-steps * steps / 2)));
    sum += double{near.back()};
  }
  for (float& share : near) share /= static_cast<float>(sum);
  return near;
}

void cross_entropy(Reference, View<const float, 2> logits, View<const TokenId, 1> targets,
                   View<const float, 1> weights, const Aim& aim, View<float, 1> losses,
                   View<float, 2> dlogits) {
  check_cross_entropy(logits, targets, weights, aim, losses, dlogits);
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

    const TokenId target = targets(b);
    const bool is_number = aim.scale.has(target);
    const TokenId first = is_number ? aim.scale.first : target;
    const std::vector<float> near = is_number ? near_on(aim.scale, target) : std::vector{1.0f};
    const float share = aim.smoothing / static_cast<float>(V), rest = 1 - aim.smoothing;
    double sum_near = 0;
    for (std::size_t i = 0; i < near.size(); ++i) {
      const float logit = logits(b, first + static_cast<Index>(i));
      sum_near += double{near[i]} * (double{logit} - double{max});
    }
    const float aimed_at = rest * static_cast<float>(sum_near) + share * static_cast<float>(sum);
    losses(b) = weights(b) * (log_sum - aimed_at);
    for (Index v = 0; v < V; ++v) {
      const auto i = static_cast<std::size_t>(v - first);  // before the first: beyond the last
      const float aimed = (i < near.size() ? rest * near[i] : 0.0f) + share;
      dlogits(b, v) = weights(b) * (std::exp(logits(b, v) - max - log_sum) - aimed);
    }
  }
}

}  // namespace paligemma
