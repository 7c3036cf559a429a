#include "gemma/rms_norm.h"

#include <cmath>

namespace paligemma {
namespace {

// One over the root of the mean square of a row.
float inv_rms_of(View<const float, 1> x, float eps) {
  const Index D = x.size(0);
  float sum_sq = 0.0f;
  for (Index d = 0; d < D; ++d) sum_sq += x(d) * x(d);
  const float mean_sq = sum_sq / static_cast<float>(D);
  return 1.0f / std::sqrt(mean_sq + eps);
}

}  // namespace

template <class Weight>
void rms_norm(Reference, View<const float, 2> x, View<const Weight, 1> scale, RmsNormRule rule,
              View<float, 2> y) {
  const Index T = x.size(0), D = x.size(1);
  PG_CHECK(scale.size(0) == D, "x " + shape_text(x) + ", scale " + shape_text(scale));
  PG_CHECK(y.shape() == x.shape(), "x " + shape_text(x) + ", y " + shape_text(y));

  for (Index t = 0; t < T; ++t) {
    // Normalise, then apply the gain.
    const float inv_rms = inv_rms_of(x.row(t), rule.eps);
    for (Index d = 0; d < D; ++d) y(t, d) = x(t, d) * inv_rms * (rule.offset + widen(scale(d)));
  }
}

template void rms_norm(Reference, View<const float, 2>, View<const float, 1>, RmsNormRule,
                       View<float, 2>);
template void rms_norm(Reference, View<const float, 2>, View<const bf16, 1>, RmsNormRule,
                       View<float, 2>);
template void rms_norm(Reference, View<const float, 2>, View<const f16, 1>, RmsNormRule,
                       View<float, 2>);

template <class Weight>
void rms_norm_backward(Reference, View<const float, 2> x, View<const Weight, 1> scale,
                       RmsNormRule rule, View<const float, 2> dy, View<float, 2> dx,
                       View<float, 1> dscale) {
  const Index T = x.size(0), D = x.size(1);
  PG_CHECK(
      scale.size(0) == D && (dscale.data() == nullptr || dscale.size(0) == D),
      "x " + shape_text(x) + ", scale " + shape_text(scale) + ", dscale " + shape_text(dscale));
  PG_CHECK(dy.shape() == x.shape() && dx.shape() == x.shape(),
           "x " + shape_text(x) + ", dy " + shape_text(dy) + ", dx " + shape_text(dx));

  for (Index t = 0; t < T; ++t) {
    const float inv_rms = inv_rms_of(x.row(t), rule.eps);
    const auto normed = [&](Index d) { return x(t, d) * inv_rms; };
    const auto g = [&](Index d) { return dy(t, d) * (rule.offset + widen(scale(d))); };
    float sum = 0.0f;
    for (Index d = 0; d < D; ++d) sum += g(d) * normed(d);
    const float mean = sum / static_cast<float>(D);
    for (Index d = 0; d < D; ++d) {
      dx(t, d) += (g(d) - normed(d) * mean) * inv_rms;
      if (dscale.data() != nullptr) dscale(d) += dy(t, d) * normed(d);
    }
  }
}

template void rms_norm_backward(Reference, View<const float, 2>, View<const float, 1>, RmsNormRule,
                                View<const float, 2>, View<float, 2>, View<float, 1>);
template void rms_norm_backward(Reference, View<const float, 2>, View<const bf16, 1>, RmsNormRule,
                                View<const float, 2>, View<float, 2>, View<float, 1>);
template void rms_norm_backward(Reference, View<const float, 2>, View<const f16, 1>, RmsNormRule,
                                View<const float, 2>, View<float, 2>, View<float, 1>);

}  // namespace paligemma
