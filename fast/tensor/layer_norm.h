// LayerNorm on the CPU, fast: tensor/layer_norm.h with a row for each thread and four lanes.
#pragma once

#include "fast/core/fast.h"
#include "tensor/layer_norm.h"

namespace paligemma {

template <class Weight>
void layer_norm(const Fast&, View<const float, 2> x, View<const Weight, 1> scale,
                View<const Weight, 1> bias, float eps, View<float, 2> y);

}  // namespace paligemma
