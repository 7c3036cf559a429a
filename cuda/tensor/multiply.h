// Multiply on the GPU. The contract is tensor/multiply.h's; views are row-major. One kernel: every number is
// read once and written once, and a row of a that all share stays in the cache.
#pragma once

#include "cuda/core/stream.h"
#include "tensor/multiply.h"

namespace paligemma::cuda {

// Number is float, bf16 or f16.
template <class Number>
void multiply(const Stream& stream, DeviceView<const Number, 2> a, MultiplyRule rule,
              DeviceView<float, 2> x);

}  // namespace paligemma::cuda
