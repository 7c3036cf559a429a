#include "fast/tensor/gelu.h"

#include "fast/core/kernels.h"

namespace paligemma {

void gelu(const Fast& on, GeluForm form, View<const float, 2> x, View<float, 2> y) {
  if (form != GeluForm::tanh || !x.is_row_major() || !y.is_row_major()) {
    return gelu(reference, form, x, y);
  }
  PG_CHECK(y.shape() == x.shape(), "x " + shape_text(x) + ", y " + shape_text(y));
  on.kernels().gelu.forward(on, {x.data(), nullptr, y.data(), x.count()});
}

void gelu_backward(const Fast& on, GeluForm form, View<const float, 2> x, View<const float, 2> dy,
                   View<float, 2> dx) {
  if (form != GeluForm::tanh || !x.is_row_major() || !dy.is_row_major() || !dx.is_row_major()) {
    return gelu_backward(reference, form, x, dy, dx);
  }
  PG_CHECK(dy.shape() == x.shape() && dx.shape() == x.shape(),
           "x " + shape_text(x) + ", dy " + shape_text(dy) + ", dx " + shape_text(dx));
  on.kernels().gelu.backward(on, {x.data(), nullptr, dy.data(), dx.data(), nullptr, x.count()});
}

}  // namespace paligemma
