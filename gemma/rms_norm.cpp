#include "gemma/rms_norm.h"

#include <cmath>

namespace paligemma {

template <class Weight>
void rms_norm(Reference, View<const float, 2> x, View<const Weight, 1> scale, RmsNormRule rule,
              View<float, 2> y) {
  const Index T = x.size(0), D = x.size(1);
  PG_CHECK(scale.size(0) == D, "x " + shape_text(x) + ", scale " + shape_text(scale));
  PG_CHECK(y.shape() == x.shape(), "x " + shape_text(x) + ", y " + shape_text(y));

  for (Index t = 0; t < T; ++t) {
    // The mean square of the row.
    float sum_sq = 0.0f;
    for (Index d = 0; d < D; ++d) sum_sq += x(t, d) * x(t, d);
    const float mean_sq = sum_sq / static_cast<float>(D);

    // Normalise, then apply the gain.
    const float inv_rms = 1.0f / std::sqrt(mean_sq + rule.eps);
    for (Index d = 0; d < D; ++d) y(t, d) = x(t, d) * inv_rms * (rule.offset + widen(scale(d)));
  }
}

template void rms_norm(Reference, View<const float, 2>, View<const float, 1>, RmsNormRule,
                       View<float, 2>);
template void rms_norm(Reference, View<const float, 2>, View<const bf16, 1>, RmsNormRule,
                       View<float, 2>);
template void rms_norm(Reference, View<const float, 2>, View<const f16, 1>, RmsNormRule,
                       View<float, 2>);

}  // namespace paligemma
