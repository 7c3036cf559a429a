#include "tensor/gelu.h"

namespace paligemma {

void gelu(Reference, GeluForm form, View<const float, 2> x, View<float, 2> y) {
  PG_CHECK(y.shape() == x.shape(), "x " + shape_text(x) + ", y " + shape_text(y));
  for (Index t = 0; t < x.size(0); ++t) {
    for (Index f = 0; f < x.size(1); ++f) y(t, f) = gelu(form, x(t, f));
  }
}

void gelu_backward(Reference, GeluForm form, View<const float, 2> x, View<const float, 2> dy,
                   View<float, 2> dx) {
  PG_CHECK(dy.shape() == x.shape() && dx.shape() == x.shape(),
           "x " + shape_text(x) + ", dy " + shape_text(dy) + ", dx " + shape_text(dx));
  for (Index t = 0; t < x.size(0); ++t) {
    for (Index f = 0; f < x.size(1); ++f) dx(t, f) = gelu_slope(form, x(t, f)) * dy(t, f);
  }
}

}  // namespace paligemma
