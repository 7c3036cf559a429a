// Multiply: features are scaled by learned numbers, or let through as far as others say.
//
//   x[t,d] *= factor g(a[t,d])        g(a) = a, or 1 / (1 + exp(-a)), or max(a, 0)
//
//   a  [T, D]   or [1, D], the same for every row; or nothing: then x is multiplied by the factor alone
//   x  [T, D]
//
// a may be x itself, and two activations are just that: SiLU is x sigmoid(x), the squared ReLU x max(x, 0).
// With rows of its own a is a gate (SwiGLU), with one row a learned scale of each feature.
//
// Papers: Elfwing et al. 2017, "Sigmoid-weighted linear units", eq. 4 (SiLU, later "Swish"); So et al. 2021,
// "Primer", section 4 (squared ReLU); Shazeer 2020, "GLU variants improve transformer", eq. 6.
//
// Read next: zeta/patch_rows.h.
#pragma once

#include <cmath>

#include "tensor/execution.h"
#include "tensor/host_device.h"
#include "tensor/numbers.h"
#include "tensor/view.h"

namespace paligemma {

enum class Gate { identity, sigmoid, relu };

struct MultiplyRule {
  Gate gate = Gate::identity;
  float factor = 1;
};

PG_HOST_DEVICE inline float gated(Gate gate, float a) {
  if (gate == Gate::sigmoid) return 1.0f / (1.0f + std::exp(-a));
  if (gate == Gate::relu) return a > 0.0f ? a : 0.0f;
  return a;
}

// Number is float, bf16 or f16.
template <class Number>
void multiply(Reference, View<const Number, 2> a, MultiplyRule rule, View<float, 2> x);

}  // namespace paligemma
