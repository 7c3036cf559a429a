#include "fast/tensor/layer_norm.h"

#include <cmath>

#include "fast/core/rows.h"

namespace paligemma {

template <class Weight>
void layer_norm(const Fast& on, View<const float, 2> x, View<const Weight, 1> scale,
                View<const Weight, 1> bias, float eps, View<float, 2> y) {
  const Index L = x.size(0), D = x.size(1);
  PG_CHECK(scale.size(0) == D && bias.size(0) == D && y.shape() == x.shape(),
           "x " + shape_text(x) + ", scale " + shape_text(scale) + ", bias " + shape_text(bias) +
               ", y " + shape_text(y));
  PG_CHECK(x.stride()[1] == 1 && y.stride()[1] == 1, "rows must be contiguous");

  for_each_row(on, L, D, [&](Index l) {
    const float* const from = x.row(l).data();
    float* const to = y.row(l).data();
    const float mean = sum_over(from, D, [](auto v) { return v; }) / static_cast<float>(D);
    const float sum_sq = sum_over(from, D, [=](auto v) { return (v - mean) * (v - mean); });
    const float inv_std = 1.0f / std::sqrt(sum_sq / static_cast<float>(D) + eps);
    for_row(
        D,
        [&](Index d) {
          store(to + d, (load<Lanes>(from + d) - mean) * inv_std * load_widened(scale.data() + d) +
                            load_widened(bias.data() + d));
        },
        [&](Index d) { to[d] = (from[d] - mean) * inv_std * widen(scale(d)) + widen(bias(d)); });
  });
}

#define PG_LAYER_NORM_OF(Weight)                                                     \
  template void layer_norm(const Fast&, View<const float, 2>, View<const Weight, 1>, \
                           View<const Weight, 1>, float, View<float, 2>);
PG_LAYER_NORM_OF(float)
PG_LAYER_NORM_OF(bf16)
PG_LAYER_NORM_OF(f16)
#undef PG_LAYER_NORM_OF

}  // namespace paligemma
