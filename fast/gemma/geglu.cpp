#include "fast/gemma/geglu.h"

#include "fast/core/kernels.h"

namespace paligemma {
namespace {

bool are_stretches(const auto&... views) { return (views.is_row_major() && ...); }

}  // namespace

void geglu(const Fast& on, GeluForm form, View<const float, 2> gate, View<const float, 2> up,
           View<float, 2> y) {
  if (form != GeluForm::tanh || !are_stretches(gate, up, y)) {
    return geglu(reference, form, gate, up, y);
  }
  PG_CHECK(up.shape() == gate.shape() && y.shape() == gate.shape(),
           "gate " + shape_text(gate) + ", up " + shape_text(up) + ", y " + shape_text(y));
  on.kernels().gelu.forward(on, {gate.data(), up.data(), y.data(), gate.count()});
}

void geglu_backward(const Fast& on, GeluForm form, View<const float, 2> gate,
                    View<const float, 2> up, View<const float, 2> dy, View<float, 2> dgate,
                    View<float, 2> dup) {
  if (form != GeluForm::tanh || !are_stretches(gate, up, dy, dgate, dup)) {
    return geglu_backward(reference, form, gate, up, dy, dgate, dup);
  }
  PG_CHECK(up.shape() == gate.shape() && dy.shape() == gate.shape() &&
               dgate.shape() == gate.shape() && dup.shape() == gate.shape(),
           "gate " + shape_text(gate) + ", up " + shape_text(up) + ", dy " + shape_text(dy) +
               ", dgate " + shape_text(dgate) + ", dup " + shape_text(dup));
  on.kernels().gelu.backward(
      on, {gate.data(), up.data(), dy.data(), dgate.data(), dup.data(), gate.count()});
}

}  // namespace paligemma
