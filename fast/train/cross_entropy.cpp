#include "fast/train/cross_entropy.h"

#include <cmath>

#include "fast/core/kernels.h"
#include "fast/core/parallel.h"

namespace paligemma {

void cross_entropy(const Fast& on, View<const float, 2> logits, View<const TokenId, 1> targets,
                   View<const float, 1> weights, const Aim& aim, View<float, 1> losses,
                   View<float, 2> dlogits) {
  if (logits.stride()[1] != 1 || dlogits.stride()[1] != 1) {
    return cross_entropy(reference, logits, targets, weights, aim, losses, dlogits);
  }
  check_cross_entropy(logits, targets, weights, aim, losses, dlogits);
  const Index B = logits.size(0), V = logits.size(1);
  const float smoothing = aim.smoothing, share = smoothing / static_cast<float>(V);
  for_each(on, B, B * V > 1 << 14, [&](Index b, int) {
    const float* const x = &logits(b, 0);
    float* const dx = &dlogits(b, 0);
    const float max = on.kernels().logits.max(x, V), weight = weights(b);
    const double sum_exp = on.kernels().logits.sum_exp(x, V, max);
    const auto log_sum = static_cast<float>(std::log(sum_exp));
    double sum = 0;  // of what smoothing aims at
    for (Index v = 0; smoothing > 0 && v < V; ++v) sum += double{x[v]} - double{max};
    const TokenId target = targets(b);
    const bool is_number = aim.scale.has(target);
    const TokenId first = is_number ? aim.scale.first : target;
    const std::vector<float> near = is_number ? near_on(aim.scale, target) : std::vector{1.0f};
    double sum_near = 0;
    for (std::size_t i = 0; i < near.size(); ++i) {
      sum_near += double{near[i]} * (double{x[static_cast<std::size_t>(first) + i]} - double{max});
    }
    const float aimed_at =
        (1 - smoothing) * static_cast<float>(sum_near) + share * static_cast<float>(sum);
    losses(b) = weight * (log_sum - aimed_at);
    on.kernels().logits.scaled_exp(x, V, max, static_cast<float>(weight / sum_exp), dx);
    for (Index v = 0; smoothing > 0 && v < V; ++v) dx[v] -= weight * share;
    for (std::size_t i = 0; i < near.size(); ++i) {
      dx[static_cast<std::size_t>(first) + i] -= weight * (1 - smoothing) * near[i];
    }
  });
}

}  // namespace paligemma
