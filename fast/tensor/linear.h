// Linear on the CPU, fast. The contract is tensor/linear.h's. Weights are read as they are stored, in
// rows:
//
//   a few tokens    each token reads the rows of weights as four streams: as fast as memory is
//   more tokens     the rows of one panel are turned into the cache, and met by all tokens
//
// Where the processor multiplies bf16 (vdpbf16ps) and the weights are bf16, x is rounded to bf16 for more
// than a few tokens; otherwise nothing is rounded.
#pragma once

#include "fast/core/fast.h"
#include "tensor/linear.h"

namespace paligemma {

template <class Weight>
void linear(const Fast&, View<const float, 2> x, View<const Weight, 2> weight, View<float, 2> y);

template <class Weight>
void linear(const Fast&, View<const float, 2> x, View<const Weight, 2> weight,
            View<const Weight, 1> bias, View<float, 2> y);

// y = gelu(x weight^T + bias), in the tanh form.
template <class Weight>
void linear_gelu(const Fast&, View<const float, 2> x, View<const Weight, 2> weight,
                 View<const Weight, 1> bias, View<float, 2> y);

// y = gelu(x gate^T) * (x up^T), in the tanh form; gate and up are [F, I].
template <class Weight>
void linear_geglu(const Fast&, View<const float, 2> x, View<const Weight, 2> gate,
                  View<const Weight, 2> up, View<float, 2> y);

}  // namespace paligemma
