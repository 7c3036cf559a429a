// Clip by norm: where the gradients of a step are longer than they may be, all of them are made shorter alike.
//
//   norm      = sqrt( sum of the squares of all gradients )
//   gradient *= min( 1, longest / (norm + 1e-6) )
//
// Their direction stays. Paper: Pascanu, Mikolov & Bengio 2012, "On the difficulty of training recurrent neural
// networks", algorithm 1. The 1e-6 is torch's: a norm of exactly `longest` is scaled by 0.999999.
//
// Read next: train/schedule.h.
#pragma once

#include <span>

#include "tensor/execution.h"
#include "tensor/view.h"

namespace paligemma {

// sqrt of a sum in double, in the order of the numbers.
double global_norm(Reference, std::span<const View<float, 2>> gradients);

// Of this norm. A norm that is not a number is left to whoever calls.
void clip_by_norm(Reference, double norm, double longest,
                  std::span<const View<float, 2>> gradients);

}  // namespace paligemma
