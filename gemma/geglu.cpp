#include "gemma/geglu.h"

namespace paligemma {

void geglu(Reference, GeluForm form, View<const float, 2> gate, View<const float, 2> up,
           View<float, 2> y) {
  PG_CHECK(up.shape() == gate.shape() && y.shape() == gate.shape(),
           "gate " + shape_text(gate) + ", up " + shape_text(up) + ", y " + shape_text(y));
  for (Index t = 0; t < gate.size(0); ++t) {
    for (Index f = 0; f < gate.size(1); ++f) y(t, f) = gelu(form, gate(t, f)) * up(t, f);
  }
}

void geglu_backward(Reference, GeluForm form, View<const float, 2> gate, View<const float, 2> up,
                    View<const float, 2> dy, View<float, 2> dgate, View<float, 2> dup) {
  PG_CHECK(up.shape() == gate.shape() && dy.shape() == gate.shape() &&
               dgate.shape() == gate.shape() && dup.shape() == gate.shape(),
           "gate " + shape_text(gate) + ", up " + shape_text(up) + ", dy " + shape_text(dy) +
               ", dgate " + shape_text(dgate) + ", dup " + shape_text(dup));
  for (Index t = 0; t < gate.size(0); ++t) {
    for (Index f = 0; f < gate.size(1); ++f) {
      const float g = gate(t, f), u = up(t, f), d = dy(t, f);
      dgate(t, f) = d * gelu_slope(form, g) * u;
      dup(t, f) = d * gelu(form, g);
    }
  }
}

}  // namespace paligemma
