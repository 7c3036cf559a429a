// GeGLU on the CPU, fast, where a model learns; an answer has it in its products (fast/tensor/linear.h). The contract
// is gemma/geglu.h's. The exact form, and rows that are no stretch of memory, are the reference's.
#pragma once

#include "fast/core/fast.h"
#include "gemma/geglu.h"

namespace paligemma {

void geglu(const Fast& on, GeluForm form, View<const float, 2> gate, View<const float, 2> up,
           View<float, 2> y);
void geglu_backward(const Fast& on, GeluForm form, View<const float, 2> gate,
                    View<const float, 2> up, View<const float, 2> dy, View<float, 2> dgate,
                    View<float, 2> dup);

}  // namespace paligemma
