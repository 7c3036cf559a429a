// GELU on the CPU, fast, where a model learns; an answer has it in its products (fast/tensor/linear.h). The contract is
// tensor/gelu.h's. The exact form, and rows that are no stretch of memory, are the reference's.
#pragma once

#include "fast/core/fast.h"
#include "tensor/gelu.h"

namespace paligemma {

void gelu(const Fast& on, GeluForm form, View<const float, 2> x, View<float, 2> y);
void gelu_backward(const Fast& on, GeluForm form, View<const float, 2> x, View<const float, 2> dy,
                   View<float, 2> dx);

}  // namespace paligemma
