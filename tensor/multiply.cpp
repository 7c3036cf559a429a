#include "tensor/multiply.h"

namespace paligemma {

template <class Number>
void multiply(Reference, View<const Number, 2> a, MultiplyRule rule, View<float, 2> x) {
  const bool alone = a.data() == nullptr;
  PG_CHECK(alone || a.size(1) == x.size(1), "a " + shape_text(a) + ", x " + shape_text(x));
  PG_CHECK(alone || a.size(0) == 1 || a.size(0) == x.size(0),
           "a " + shape_text(a) + ", x " + shape_text(x));
  for (Index t = 0; t < x.size(0); ++t) {
    for (Index d = 0; d < x.size(1); ++d) {
      const float by = alone ? 1.0f : gated(rule.gate, widen(a(a.size(0) == 1 ? 0 : t, d)));
      x(t, d) *= rule.factor * by;
    }
  }
}

template void multiply(Reference, View<const float, 2>, MultiplyRule, View<float, 2>);
template void multiply(Reference, View<const bf16, 2>, MultiplyRule, View<float, 2>);
template void multiply(Reference, View<const f16, 2>, MultiplyRule, View<float, 2>);

}  // namespace paligemma
