#include "paligemma/projector.h"

#include "tensor/linear.h"

namespace paligemma {

template <class Weight>
void projector(Reference, View<const float, 2> x, View<const Weight, 2> weight,
               View<const Weight, 1> bias, View<float, 2> y) {
  linear(reference, x, weight, bias, y);
}

template void projector(Reference, View<const float, 2>, View<const float, 2>, View<const float, 1>,
                        View<float, 2>);
template void projector(Reference, View<const float, 2>, View<const bf16, 2>, View<const bf16, 1>,
                        View<float, 2>);
template void projector(Reference, View<const float, 2>, View<const f16, 2>, View<const f16, 1>,
                        View<float, 2>);

}  // namespace paligemma
