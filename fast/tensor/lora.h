// Adapters on the CPU, fast: tensor/lora.h in one pass over y, by the kernels of the processor. Where a linear layer
// has an epilogue of its own, that is done in the same pass (fast/tensor/linear_layer.h).
#pragma once

#include "fast/core/fast.h"
#include "fast/tensor/lora_work.h"
#include "tensor/lora.h"

namespace paligemma {

void add_low_rank(const Fast& on, View<const float, 2> low, const Lora<HostWeights<float>>& w,
                  View<float, 2> y);

// What a kernel takes of an adapter, with sums that are there.
AdaptedSums adapted_sums(View<const float, 2> sums, View<const float, 2> low,
                         const Lora<HostWeights<float>>& w);

}  // namespace paligemma
