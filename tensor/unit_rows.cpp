#include "tensor/unit_rows.h"

#include <algorithm>
#include <cmath>

namespace paligemma {
namespace {

// Of one group.
Index size_of(View<const float, 2> x, UnitRule rule) {
  PG_CHECK(rule.groups > 0 && x.size(1) % rule.groups == 0,
           "x " + shape_text(x) + ", " + std::to_string(rule.groups) + " groups");
  return x.size(1) / rule.groups;
}

}  // namespace

template <class Weight>
void unit_rows(Reference, View<const float, 2> x, UnitRule rule, View<const Weight, 1> scale,
               View<float, 2> y) {
  const Index T = x.size(0), W = x.size(1), size = size_of(x, rule);
  PG_CHECK(scale.size(0) == W || scale.size(0) == 0,
           "x " + shape_text(x) + ", scale " + shape_text(scale));
  PG_CHECK(y.shape() == x.shape(), "x " + shape_text(x) + ", y " + shape_text(y));
  const bool scaled = scale.size(0) > 0;

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

void unit_rows_backward(Reference, View<const float, 2> x, UnitRule rule, View<const float, 2> dy,
                        View<float, 2> dx) {
  const Index T = x.size(0), W = x.size(1), size = size_of(x, rule);
  PG_CHECK(dy.shape() == x.shape() && dx.shape() == x.shape(),
           "x " + shape_text(x) + ", dy " + shape_text(dy) + ", dx " + shape_text(dx));
  for (Index t = 0; t < T; ++t) {
    for (Index first = 0; first < W; first += size) {
      float sum_sq = 0.0f, along = 0.0f;
      for (Index d = first; d < first + size; ++d) {
        const float number = x(t, d);
        sum_sq += number * number;
        along += dy(t, d) * number;
      }
      const float length = std::sqrt(sum_sq), inv_length = 1.0f / std::max(length, rule.floor);
      along *= length > rule.floor ? inv_length * inv_length : 0.0f;
      for (Index d = first; d < first + size; ++d) {
        dx(t, d) += (dy(t, d) - x(t, d) * along) * inv_length;
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
