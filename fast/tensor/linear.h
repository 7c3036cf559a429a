// Linear on the CPU, fast. The contract is tensor/linear.h's. Weights are read as they are stored, in
// rows:
//
//   a few tokens    the rows of weights are read as four streams, as fast as memory is, and met by all tokens
//   more tokens     the rows of one panel are turned into the cache, and met by all tokens
//
// Where the processor multiplies bf16 (vdpbf16ps) and the weights are bf16, x is rounded to bf16 for more
// than a few tokens; otherwise nothing is rounded. The way back has the same tiles (fast/tensor/product_kernel.h) and
// rounds nothing.
#pragma once

#include "fast/core/fast.h"
#include "tensor/linear.h"

namespace paligemma {

template <class Weight>
void linear(const Fast& on, View<const float, 2> x, const Linear<HostWeights<Weight>>& w,
            View<float, 2> y, const Epilogue<HostWeights<Weight>>& epilogue = {});

template <class Weight>
void linear_backward(const Fast& on, View<const float, 2> x, const Linear<HostWeights<Weight>>& w,
                     View<const float, 2> dy, View<float, 2> dx, const Linear<HostGradients>& dw);

}  // namespace paligemma
