// The projector on the CPU, fast: paligemma/projector.h by the fast linear layer.
#pragma once

#include "fast/tensor/linear.h"
#include "paligemma/projector.h"

namespace paligemma {

template <class Weight>
void projector(const Fast& on, View<const float, 2> x, View<const Weight, 2> weight,
               View<const Weight, 1> bias, View<float, 2> y) {
  linear(on, x, weight, bias, y);
}

}  // namespace paligemma
