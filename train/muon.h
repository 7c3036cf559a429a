// Muon: a matrix moves alike in all directions that its gradients have, however strong each of them was.
//
//   m = momentum m + (1 - momentum) g                the mean of late gradients
//   u = momentum m + (1 - momentum) g                a look ahead (Nesterov)
//   x = u / |u|, then five times
//       a = x x^T,  x = 3.4445 x + (-4.775 a + 2.0315 a^2) x      of a u with more rows than columns, the transpose
//   w = w - rate decay w
//   w = w - rate sqrt( max(1, O / I) ) x
//
//   g  [O, I]   the gradient of a matrix
//   m  [O, I]   zeros before the first step
//   w  [O, I]   the weights
//
// The five steps bring the singular values of u / |u|, unless they are below 0.002, to between 0.68 and 1.21, and leave
// its singular vectors: x is about U V^T of u = U S V^T. Vectors, and tables that are looked up, are AdamW's.
//
// Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"; Bernstein & Newhouse 2024,
// "Old optimizer, new norm", section 2 (why U V^T). The numbers are torch 2.13.0's, which iterates in bf16; here it is
// float.
//
// Read next: train/adafactor.h.
#pragma once

#include "tensor/execution.h"
#include "tensor/view.h"

namespace paligemma {

// x [O, I], about U V^T of u.
void orthogonalize(Reference, View<const float, 2> u, View<float, 2> x);

void muon(Reference, double momentum, double rate, double decay, View<const float, 2> g,
          View<float, 2> m, View<float, 2> w);

}  // namespace paligemma
