// Adapters on the CPU, fast: tensor/lora.h in one pass over y, by the kernels of the processor. A linear layer does it
// while its sums are in registers (fast/tensor/linear_layer.h).
#pragma once

#include "fast/core/fast.h"
#include "fast/tensor/lora_work.h"
#include "tensor/lora.h"

namespace paligemma {

void add_low_rank(const Fast& on, View<const float, 2> low, const Lora<HostWeights<float>>& w,
                  View<float, 2> y);

// For the kernels.
Remainder remainder_of(View<const float, 2> low, const Lora<HostWeights<float>>& w);

}  // namespace paligemma
