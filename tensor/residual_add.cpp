#include "tensor/residual_add.h"

namespace paligemma {

void residual_add(Reference, View<const float, 2> branch, View<float, 2> x) {
  PG_CHECK(branch.shape() == x.shape(), "branch " + shape_text(branch) + ", x " + shape_text(x));
  for (Index t = 0; t < x.size(0); ++t) {
    for (Index d = 0; d < x.size(1); ++d) x(t, d) += branch(t, d);
  }
}

}  // namespace paligemma
