#include "fast/tensor/lora.h"

#include "fast/core/kernels.h"

namespace paligemma {

AdaptedSums adapted_sums(View<const float, 2> sums, View<const float, 2> low,
                         const Lora<HostWeights<float>>& w) {
  check_low_rank(low, w, sums);
  return {sums.data(), sums.stride()[0],   low.data(),   w.b.data(),
          low.size(1), w.magnitude.data(), w.bias.data()};
}

void add_low_rank(const Fast& on, View<const float, 2> low, const Lora<HostWeights<float>>& w,
                  View<float, 2> y) {
  on.kernels().linear.adapted(
      on, {adapted_sums(y, low, w), nullptr, false, y.data(), y.size(0), y.size(1), y.stride()[0]});
}

}  // namespace paligemma
