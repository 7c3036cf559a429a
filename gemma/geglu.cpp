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

}  // namespace paligemma
