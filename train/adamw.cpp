#include "train/adamw.h"

#include <cmath>

namespace paligemma {

void adamw(Reference, const AdamWRule& rule, double rate, double decay, Index step,
           View<const float, 2> g, AdamWState state, View<float, 2> w) {
  const View<float, 2> m = state.m, v = state.v;
  PG_CHECK(step >= 1, "step " + std::to_string(step));
  PG_CHECK(g.shape() == w.shape() && m.shape() == w.shape() && v.shape() == w.shape(),
           "w " + shape_text(w) + ", g " + shape_text(g) + ", m " + shape_text(m) + ", v " +
               shape_text(v));
  const auto beta1 = static_cast<float>(rule.beta1), beta2 = static_cast<float>(rule.beta2),
             eps = static_cast<float>(rule.eps);
  const auto new1 = static_cast<float>(1 - rule.beta1), new2 = static_cast<float>(1 - rule.beta2);
  const auto n = static_cast<double>(step);
  const auto kept = static_cast<float>(1 - rate * decay);
  const auto size = static_cast<float>(rate / (1 - std::pow(rule.beta1, n)));
  const auto root = static_cast<float>(std::sqrt(1 - std::pow(rule.beta2, n)));

#pragma omp parallel for
  for (Index o = 0; o < w.size(0); ++o) {
    for (Index i = 0; i < w.size(1); ++i) {
      m(o, i) = beta1 * m(o, i) + new1 * g(o, i);
      v(o, i) = beta2 * v(o, i) + new2 * g(o, i) * g(o, i);
      w(o, i) = kept * w(o, i) - size * m(o, i) / (std::sqrt(v(o, i)) / root + eps);
    }
  }
}

}  // namespace paligemma
