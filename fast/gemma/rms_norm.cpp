#include "fast/gemma/rms_norm.h"

#include <cmath>

#include "fast/core/rows.h"

namespace paligemma {

template <class Weight>
void rms_norm(const Fast& on, View<const float, 2> x, View<const Weight, 1> scale, RmsNormRule rule,
              View<float, 2> y) {
  const Index T = x.size(0), D = x.size(1);
  PG_CHECK(scale.size(0) == D && y.shape() == x.shape(),
           "x " + shape_text(x) + ", scale " + shape_text(scale) + ", y " + shape_text(y));
  PG_CHECK(x.stride()[1] == 1 && y.stride()[1] == 1, "rows must be contiguous");
  const Weight* const gain = scale.data();

  for_each_row(on, T, D, [&](Index t) {
    const float* const from = x.row(t).data();
    float* const to = y.row(t).data();
    const float sum_sq = sum_over(from, D, [](auto v) { return v * v; });
    const float inv_rms = 1.0f / std::sqrt(sum_sq / static_cast<float>(D) + rule.eps);
    for_row(
        D,
        [&](Index d) {
          store(to + d, load<Lanes>(from + d) * inv_rms * (rule.offset + load_widened(gain + d)));
        },
        [&](Index d) { to[d] = from[d] * inv_rms * (rule.offset + widen(gain[d])); });
  });
}

template void rms_norm(const Fast&, View<const float, 2>, View<const float, 1>, RmsNormRule,
                       View<float, 2>);
template void rms_norm(const Fast&, View<const float, 2>, View<const bf16, 1>, RmsNormRule,
                       View<float, 2>);
template void rms_norm(const Fast&, View<const float, 2>, View<const f16, 1>, RmsNormRule,
                       View<float, 2>);

}  // namespace paligemma
