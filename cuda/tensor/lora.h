// Adapters on the GPU: tensor/lora.h's second line, with views that are row-major. One kernel: a number of y for each
// thread, whose neighbours read neighbours of b and the same low.
#pragma once

#include "cuda/core/device_weights.h"
#include "cuda/core/stream.h"
#include "tensor/lora.h"

namespace paligemma::cuda {

void add_low_rank(const Stream& stream, DeviceView<const float, 2> low,
                  const Lora<DeviceWeights<float>>& w, DeviceView<float, 2> y);

}  // namespace paligemma::cuda
