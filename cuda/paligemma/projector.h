// Projector on the GPU. The contract is paligemma/projector.h's; the columns of y must be neighbours.
// It is linear under its own name, and has no kernel of its own.
#pragma once

#include "cuda/tensor/linear.h"

namespace paligemma::cuda {

// Weight is float, bf16 or f16.
template <class Weight>
void projector(const Stream& stream, DeviceView<const float, 2> x,
               DeviceView<const Weight, 2> weight, DeviceView<const Weight, 1> bias,
               DeviceView<float, 2> y) {
  linear(stream, x, weight, bias, y);
}

}  // namespace paligemma::cuda
