#include "siglip/position_embedding.h"

namespace paligemma {

template <class Weight>
void position_embedding(Reference, View<const Weight, 2> table, View<float, 2> x) {
  PG_CHECK(table.shape() == x.shape(), "table " + shape_text(table) + ", x " + shape_text(x));
  for (Index l = 0; l < x.size(0); ++l) {
    for (Index d = 0; d < x.size(1); ++d) x(l, d) += widen(table(l, d));
  }
}

template void position_embedding(Reference, View<const float, 2>, View<float, 2>);
template void position_embedding(Reference, View<const bf16, 2>, View<float, 2>);
template void position_embedding(Reference, View<const f16, 2>, View<float, 2>);

void position_embedding_backward(Reference, View<const float, 2> dx, View<float, 2> dtable) {
  PG_CHECK(dtable.shape() == dx.shape(), "dtable " + shape_text(dtable) + ", dx " + shape_text(dx));
  for (Index l = 0; l < dx.size(0); ++l) {
    for (Index d = 0; d < dx.size(1); ++d) dtable(l, d) += dx(l, d);
  }
}

}  // namespace paligemma
