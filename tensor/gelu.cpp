#include "tensor/gelu.h"

namespace paligemma {

void gelu(Reference, GeluForm form, View<const float, 2> x, View<float, 2> y) {
  PG_CHECK(y.shape() == x.shape(), "x " + shape_text(x) + ", y " + shape_text(y));
  for (Index t = 0; t < x.size(0); ++t) {
    for (Index f = 0; f < x.size(1); ++f) y(t, f) = gelu(form, x(t, f));
  }
}

}  // namespace paligemma
