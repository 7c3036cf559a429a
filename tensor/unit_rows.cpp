#include "tensor/unit_rows.h"

#include <algorithm>
#include <cmath>

namespace paligemma {

template <class Weight>
void unit_rows(Reference, View<const float, 2> x, UnitRule rule, View<const Weight, 1> scale,
               View<float, 2> y) {
  const Index T = x.size(0), W = x.size(1);
  PG_CHECK(rule.groups > 0 && W % rule.groups == 0,
           "x " + shape_text(x) + ", " + std::to_string(rule.groups) + " groups");
  PG_CHECK(scale.size(0) == W || scale.size(0) == 0,
           "x " + shape_text(x) + ", scale " + shape_text(scale));
  PG_CHECK(y.shape() == x.shape(), "x " + shape_text(x) + ", y " + shape_text(y));
  const bool scaled = scale.size(0) > 0;

  const Index size = W / rule.groups;
  for (Index t = 0; t < T; ++t) {
    for (Index first = 0; first < W; first += size) {
      float sum_sq = 0.0f;
      for (Index d = first; d < first + size; ++d) sum_sq += x(t, d) * x(t, d);
      const float inv_length = 1.0f / std::max(std::sqrt(sum_sq), rule.floor);
      for (Index d = first; d < first + size; ++d) {
        y(t, d) = x(t, d) * inv_length * (scaled ? widen(scale(d)) : 1.0f);
      }
    }
  }
}

template void unit_rows(Reference, View<const float, 2>, UnitRule, View<const float, 1>,
                        View<float, 2>);
template void unit_rows(Reference, View<const float, 2>, UnitRule, View<const bf16, 1>,
                        View<float, 2>);
template void unit_rows(Reference, View<const float, 2>, UnitRule, View<const f16, 1>,
                        View<float, 2>);

}  // namespace paligemma
