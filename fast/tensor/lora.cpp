#include "fast/tensor/lora.h"

#include "fast/core/kernels.h"

namespace paligemma {

Remainder remainder_of(View<const float, 2> low, const Lora<HostWeights<float>>& w) {
  return {w.bias.data(), w.magnitude.data(), low.data(), w.b.data(), low.size(1)};
}

void add_low_rank(const Fast& on, View<const float, 2> low, const Lora<HostWeights<float>>& w,
                  View<float, 2> y) {
  check_low_rank(low, w, y);
  on.kernels().linear.remainder(
      on, {remainder_of(low, w), y.data(), y.size(0), y.size(1), y.stride()[0]});
}

}  // namespace paligemma
