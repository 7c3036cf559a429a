// Linear on the CPU, fast. The contract is tensor/linear.h's. Weights are read as they are stored, in
// rows; nothing is rounded.
//
//   a few tokens    each row of weights is read once, four rows at a time: as fast as memory is
//   more tokens     16 or 32 rows at a time are packed into a panel in the cache, widened to float,
//                   and met by all tokens
#pragma once

#include "tensor/linear.h"

namespace paligemma {

template <class Weight>
void linear(Fast, View<const float, 2> x, View<const Weight, 2> weight, View<float, 2> y);

template <class Weight>
void linear(Fast, View<const float, 2> x, View<const Weight, 2> weight, View<const Weight, 1> bias,
            View<float, 2> y);

}  // namespace paligemma
