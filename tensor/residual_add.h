// Residual add: what a branch computed is added onto the stream it was computed from.
//
//   x[t,d] += branch[t,d]
//
//   branch  [T, D]
//   x       [T, D]   the residual stream, float in every executor
//
// Paper: He et al. 2015, "Deep residual learning for image recognition", eq. 1.
//
// Read next: siglip/pooling.h.
#pragma once

#include "tensor/execution.h"
#include "tensor/view.h"

namespace paligemma {

void residual_add(Reference, View<const float, 2> branch, View<float, 2> x);

}  // namespace paligemma
