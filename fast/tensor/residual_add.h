// The residual sum on the CPU, fast: tensor/residual_add.h with all threads, for each as much as memory
// gives.
#pragma once

#include "fast/core/fast.h"
#include "tensor/residual_add.h"

namespace paligemma {

void residual_add(const Fast&, View<const float, 2> branch, View<float, 2> x);

}  // namespace paligemma
