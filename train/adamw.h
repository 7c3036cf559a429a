// AdamW: each number moves by about the learning rate, in the direction that its gradients have had of late.
//
//   m = beta1 m + (1 - beta1) g                      the mean of late gradients
//   v = beta2 v + (1 - beta2) g^2                    the mean of their squares
//   w = w - rate decay w                             weight decay, which no gradient has a part in
//   w = w - rate m' / (sqrt(v') + eps)               m' = m / (1 - beta1^step), v' = v / (1 - beta2^step)
//
//   g     [O, I]   the gradient
//   m, v  [O, I]   zeros before the first step
//   w     [O, I]   the weights
//   step           1 for the first one: m' and v' make up for the zeros
//
// Paper: Kingma & Ba 2014, "Adam", algorithm 1; Loshchilov & Hutter 2017, "Decoupled weight decay regularization",
// algorithm 2. As torch 2.13.0 has it: decay is times the learning rate, eps stands outside the root.
//
// Read next: train/sgd.h.
#pragma once

#include "tensor/execution.h"
#include "tensor/view.h"

namespace paligemma {

struct AdamWRule {
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
};

struct AdamWState {
  View<float, 2> m, v;
};

void adamw(Reference, const AdamWRule& rule, double rate, double decay, Index step,
           View<const float, 2> g, AdamWState state, View<float, 2> w);

}  // namespace paligemma
