// SGD with momentum: every number moves along its gradient, and goes on as it went.
//
//   m = momentum m + g + decay w
//   w = w - rate m
//
//   g  [O, I]   the gradient
//   m  [O, I]   zeros before the first step
//   w  [O, I]   the weights
//
// Paper: Sutskever et al. 2013, "On the importance of initialization and momentum in deep learning", eq. 1 and 2, with
// the learning rate outside of m. As torch 2.13.0 has it: the decay is a gradient's, so it has momentum too.
//
// Read next: train/muon.h.
#pragma once

#include "tensor/execution.h"
#include "tensor/view.h"

namespace paligemma {

void sgd(Reference, double momentum, double rate, double decay, View<const float, 2> g,
         View<float, 2> m, View<float, 2> w);

}  // namespace paligemma
