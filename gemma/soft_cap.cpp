#include "gemma/soft_cap.h"

namespace paligemma {

void soft_cap(Reference, float cap, View<float, 2> x) {
  PG_CHECK(cap > 0, "cap " + std::to_string(cap));
  for (Index t = 0; t < x.size(0); ++t) {
    for (Index v = 0; v < x.size(1); ++v) x(t, v) = soft_capped(x(t, v), cap);
  }
}

void soft_cap_backward(Reference, float cap, View<const float, 2> x, View<float, 2> dx) {
  PG_CHECK(cap > 0, "cap " + std::to_string(cap));
  PG_CHECK(dx.shape() == x.shape(), "x " + shape_text(x) + ", dx " + shape_text(dx));
  for (Index t = 0; t < x.size(0); ++t) {
    for (Index v = 0; v < x.size(1); ++v) dx(t, v) *= 1.0f - x(t, v) / cap * (x(t, v) / cap);
  }
}

}  // namespace paligemma
