// Quantised linear on the CPU, fast. The contract is tensor/quantized_linear.h's, and x is rounded to 8
// bits, with a scale for each block of 256 features. Products are summed as integers; the two ways are
// those of fast/tensor/linear.h.
#pragma once

#include "fast/core/fast.h"
#include "tensor/quantized_linear.h"

namespace paligemma {

template <Quantized Block>
void linear(const Fast& on, View<const float, 2> x, const Linear<QuantizedWeights<Block>>& w,
            View<float, 2> y, const Epilogue<QuantizedWeights<Block>>& epilogue = {});

}  // namespace paligemma
