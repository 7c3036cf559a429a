#include "tensor/lora.h"

namespace paligemma {

void add_low_rank(Reference, View<const float, 2> low, const Lora<HostWeights<float>>& w,
                  View<float, 2> y) {
  check_low_rank(low, w, y);
  const Index T = y.size(0), O = y.size(1), r = low.size(1);
#pragma omp parallel for
  for (Index o = 0; o < O; ++o) {
    for (Index t = 0; t < T; ++t) {
      float sum = 0;
      for (Index k = 0; k < r; ++k) sum += low(t, k) * w.b(k, o);
      const float own = w.magnitude.data() != nullptr ? w.magnitude(o) * y(t, o) : y(t, o);
      y(t, o) = own + sum + (w.bias.data() != nullptr ? w.bias(o) : 0.0f);
    }
  }
}

}  // namespace paligemma
