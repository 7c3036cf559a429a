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

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "tensor/buffer.h"
#include "tensor/linear.h"

namespace paligemma {

// x [O, I], about U V^T of u; may be u itself.
template <class On>
void orthogonalize(const On& on, View<const float, 2> u, View<float, 2> x) {
  PG_CHECK(x.shape() == u.shape(), "u " + shape_text(u) + ", x " + shape_text(x));
  const auto turn = [](View<const float, 2> from, View<float, 2> to) {
    for (Index i = 0; i < from.size(0); ++i) {
      for (Index j = 0; j < from.size(1); ++j) to(j, i) = from(i, j);
    }
  };
  const bool is_tall = u.size(0) > u.size(1);
  const Index O = std::min(u.size(0), u.size(1)), I = std::max(u.size(0), u.size(1));
  Buffer<float, 2> wide_({O, I}, unwritten), tall_({I, O}, unwritten), a_({O, O}, unwritten),
      b_({O, O}, unwritten), next_({O, I}, unwritten);
  const auto wide = wide_.view(), tall = tall_.view(), a = a_.view(), b = b_.view(),
             next = next_.view();
  const auto by = [](View<const float, 2> weight) { return Linear<HostWeights<float>>{weight}; };

  is_tall ? turn(u, wide) : copy(reference, u, wide);
  double sum_sq = 0;
  for (Index i = 0; i < O * I; ++i) sum_sq += std::pow(double{wide.data()[i]}, 2);
  const auto scale = static_cast<float>(1 / std::max(std::sqrt(sum_sq), 1e-7));
  for (Index i = 0; i < O * I; ++i) wide.data()[i] *= scale;
  for (int step = 0; step < 5; ++step) {
    linear(on, wide, by(wide), a);  // x x^T
    linear(on, a, by(a), b);        // a is symmetric
    for (Index i = 0; i < O * O; ++i) b.data()[i] = -4.775f * a.data()[i] + 2.0315f * b.data()[i];
    turn(wide, tall);
    linear(on, b, by(tall), next);
    for (Index i = 0; i < O * I; ++i) wide.data()[i] = 3.4445f * wide.data()[i] + next.data()[i];
  }
  is_tall ? turn(wide, x) : copy(reference, std::as_const(wide_).view(), x);
}

// As some executor does it.
using Orthogonalize = std::function<void(View<const float, 2> u, View<float, 2> x)>;
inline void orthogonalize_plainly(View<const float, 2> u, View<float, 2> x) {
  orthogonalize(reference, u, x);
}

void muon(Reference, double momentum, double rate, double decay, View<const float, 2> g,
          View<float, 2> m, View<float, 2> w, const Orthogonalize& how = orthogonalize_plainly);

}  // namespace paligemma
