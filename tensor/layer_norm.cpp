#include "tensor/layer_norm.h"

#include <cmath>

namespace paligemma {
namespace {

struct Moments {
  float mean, inv_std;
};

// Mean, then variance around it: two passes lose no digits when the mean is large.
Moments moments_of(View<const float, 1> row, float eps) {
  const auto D = static_cast<float>(row.size(0));
  float sum = 0.0f;
  for (Index d = 0; d < row.size(0); ++d) sum += row(d);
  const float mean = sum / D;

  float sum_sq = 0.0f;
  for (Index d = 0; d < row.size(0); ++d) sum_sq += (row(d) - mean) * (row(d) - mean);
  return {mean, 1.0f / std::sqrt(sum_sq / D + eps)};
}

}  // namespace

template <class Weight>
void layer_norm(Reference, View<const float, 2> x, View<const Weight, 1> scale,
                View<const Weight, 1> bias, float eps, View<float, 2> y) {
  const Index L = x.size(0), D = x.size(1);
  PG_CHECK(scale.size(0) == D && bias.size(0) == D,
           "x " + shape_text(x) + ", scale " + shape_text(scale) + ", bias " + shape_text(bias));
  PG_CHECK(y.shape() == x.shape(), "x " + shape_text(x) + ", y " + shape_text(y));

  for (Index l = 0; l < L; ++l) {
    const auto [mean, inv_std] = moments_of(x.row(l), eps);
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

template <class Weight>
void layer_norm_backward(Reference, View<const float, 2> x, View<const Weight, 1> scale, float eps,
                         View<const float, 2> dy, View<float, 2> dx, View<float, 1> dscale,
                         View<float, 1> dbias) {
  const Index L = x.size(0), D = x.size(1);
  const auto fits = [D](View<float, 1> sums) {
    return sums.data() == nullptr || sums.size(0) == D;
  };
  PG_CHECK(scale.size(0) == D && fits(dscale) && fits(dbias),
           "x " + shape_text(x) + ", scale " + shape_text(scale) + ", dscale " +
               shape_text(dscale) + ", dbias " + shape_text(dbias));
  PG_CHECK(dy.shape() == x.shape() && dx.shape() == x.shape(),
           "x " + shape_text(x) + ", dy " + shape_text(dy) + ", dx " + shape_text(dx));

  for (Index l = 0; l < L; ++l) {
    const auto [mean, inv_std] = moments_of(x.row(l), eps);
    const auto normed = [&, mean = mean, inv_std = inv_std](Index d) {
      return (x(l, d) - mean) * inv_std;
    };
    const auto g = [&](Index d) { return dy(l, d) * widen(scale(d)); };
    float sum = 0.0f, sum_normed = 0.0f;
    for (Index d = 0; d < D; ++d) {
      sum += g(d);
      sum_normed += g(d) * normed(d);
    }
    const float mean_g = sum / static_cast<float>(D);
    const float mean_normed = sum_normed / static_cast<float>(D);
    for (Index d = 0; d < D; ++d) {
      dx(l, d) += (g(d) - mean_g - normed(d) * mean_normed) * inv_std;
      if (dscale.data() != nullptr) dscale(d) += dy(l, d) * normed(d);
      if (dbias.data() != nullptr) dbias(d) += dy(l, d);
    }
  }
}

template void layer_norm_backward(Reference, View<const float, 2>, View<const float, 1>, float,
                                  View<const float, 2>, View<float, 2>, View<float, 1>,
                                  View<float, 1>);
template void layer_norm_backward(Reference, View<const float, 2>, View<const bf16, 1>, float,
                                  View<const float, 2>, View<float, 2>, View<float, 1>,
                                  View<float, 1>);
template void layer_norm_backward(Reference, View<const float, 2>, View<const f16, 1>, float,
                                  View<const float, 2>, View<float, 2>, View<float, 1>,
                                  View<float, 1>);

}  // namespace paligemma
