#include "gemma/soft_cap.h"

namespace paligemma {

void soft_cap(Reference, float cap, View<float, 2> x) {
  PG_CHECK(cap > 0, "cap " + std::to_string(cap));
  for (Index t = 0; t < x.size(0); ++t) {
    for (Index v = 0; v < x.size(1); ++v) x(t, v) = soft_capped(x(t, v), cap);
  }
}

}  // namespace paligemma
