// Quantised linear on the CPU, fast. The contract is tensor/quantized_linear.h's, and x is rounded to 8
// bits, with a scale for each block of 256 features. Products are summed as integers; the two ways are
// those of fast/tensor/linear.h.
#pragma once

#include "fast/core/fast.h"
#include "tensor/quantized_linear.h"

namespace paligemma {

template <Quantized Block>
void linear(const Fast&, View<const float, 2> x, View<const Block, 2> weight, View<float, 2> y);

// y = gelu(x gate^T) * (x up^T), in the tanh form.
template <Quantized Block>
void linear_geglu(const Fast&, View<const float, 2> x, View<const Block, 2> gate,
                  View<const Block, 2> up, View<float, 2> y);

}  // namespace paligemma
