#include "tensor/layer_norm.h"

#include <cmath>

namespace paligemma {

template <class Weight>
void layer_norm(Reference, View<const float, 2> x, View<const Weight, 1> scale,
                View<const Weight, 1> bias, float eps, View<float, 2> y) {
  const Index L = x.size(0), D = x.size(1);
  PG_CHECK(scale.size(0) == D && bias.size(0) == D,
           "x " + shape_text(x) + ", scale " + shape_text(scale) + ", bias " + shape_text(bias));
  PG_CHECK(y.shape() == x.shape(), "x " + shape_text(x) + ", y " + shape_text(y));

  for (Index l = 0; l < L; ++l) {
    // Mean, then variance around it: two passes lose no digits when the mean is large.
    float sum = 0.0f;
    for (Index d = 0; d < D; ++d) sum += x(l, d);
    const float mean = sum / static_cast<float>(D);

    float sum_sq = 0.0f;
    for (Index d = 0; d < D; ++d) sum_sq += (x(l, d) - mean) * (x(l, d) - mean);
    const float inv_std = 1.0f / std::sqrt(sum_sq / static_cast<float>(D) + eps);

    for (Index d = 0; d < D; ++d) {
      y(l, d) = (x(l, d) - mean) * inv_std * widen(scale(d)) + widen(bias(d));
    }
  }
}

template void layer_norm(Reference, View<const float, 2>, View<const float, 1>,
                         View<const float, 1>, float, View<float, 2>);
template void layer_norm(Reference, View<const float, 2>, View<const bf16, 1>, View<const bf16, 1>,
                         float, View<float, 2>);
template void layer_norm(Reference, View<const float, 2>, View<const f16, 1>, View<const f16, 1>,
                         float, View<float, 2>);

}  // namespace paligemma
