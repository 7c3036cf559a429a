// Softmax: turn a row of scores into weights that are positive and sum to one.
//
//   y[t,s] = exp(x[t,s] - max_s' x[t,s']) / sum_s'' exp(x[t,s''] - max_s' x[t,s'])
//
//   x  [T, S]   T rows of S scores
//   y  [T, S]   may be x itself
//
// Paper: Vaswani et al. 2017, "Attention is all you need", eq. 1. Taking the maximum away changes
// nothing in the result and keeps exp within range. A score of -infinity gets the weight 0; a row
// of nothing but -infinity has no answer and becomes NaN.
//
// Read next: tensor/linear.h.
#pragma once

#include "tensor/execution.h"
#include "tensor/view.h"

namespace paligemma {

void softmax(Reference, View<const float, 2> x, View<float, 2> y);

// Backward, from y:
//
//   dx[t,s] = y[t,s] (dy[t,s] - sum_s' dy[t,s'] y[t,s'])
//
//   dx  may be dy itself
void softmax_backward(Reference, View<const float, 2> y, View<const float, 2> dy,
                      View<float, 2> dx);

}  // namespace paligemma
