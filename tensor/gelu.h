// GELU: pass a number on in proportion to the probability that a standard normal lies below it.
//
//   exact   y = x Phi(x)  =  x/2 (1 + erf(x / sqrt 2))
//   tanh    y = x/2 (1 + tanh( sqrt(2/pi) (x + 0.044715 x^3) ))
//
//   x  [T, F]   F features
//   y  [T, F]   may be x itself
//
// Paper: Hendrycks & Gimpel 2016, "Gaussian Error Linear Units", section 2. The two forms differ by
// up to 5e-4. SigLIP and Gemma were trained with the tanh form ("gelu_pytorch_tanh" in config.json);
// the exact one is there for checkpoints that say "gelu".
//
// Read next: tensor/residual_add.h.
#pragma once

#include <cmath>

#include "tensor/execution.h"
#include "tensor/host_device.h"
#include "tensor/view.h"

namespace paligemma {

enum class GeluForm { tanh, exact };

inline constexpr float kSqrtTwoOverPi = 0.79788456080286536f, kGeluCube = 0.044715f;

// Twice the probability, less one.
PG_HOST_DEVICE inline float gelu_part(GeluForm form, float x) {
  constexpr float kSqrtHalf = 0.70710678118654752f;
  if (form == GeluForm::exact) return std::erf(x * kSqrtHalf);
  return std::tanh(kSqrtTwoOverPi * (x + kGeluCube * x * x * x));
}

PG_HOST_DEVICE inline float gelu(GeluForm form, float x) {
  return 0.5f * x * (1.0f + gelu_part(form, x));
}

void gelu(Reference, GeluForm form, View<const float, 2> x, View<float, 2> y);

// Backward: dx[t,f] = gelu'(x[t,f]) dy[t,f], where
//
//   exact   gelu'(x) = Phi(x) + x phi(x)
//   tanh    gelu'(x) = 1/2 (1 + h) + x/2 (1 - h^2) sqrt(2/pi) (1 + 3 * 0.044715 x^2)
//
//   h   the hyperbolic tangent above
//   dx  may be dy itself
PG_HOST_DEVICE inline float gelu_slope(GeluForm form, float x) {
  constexpr float kNormal = 0.39894228040143268f;  // 1 / sqrt(2 pi)
  const float part = gelu_part(form, x), probability = 0.5f * (1.0f + part);
  if (form == GeluForm::exact) return probability + x * kNormal * std::exp(-0.5f * x * x);
  return probability +
         0.5f * x * (1.0f - part * part) * kSqrtTwoOverPi * (1.0f + 3.0f * kGeluCube * x * x);
}

void gelu_backward(Reference, GeluForm form, View<const float, 2> x, View<const float, 2> dy,
                   View<float, 2> dx);

}  // namespace paligemma
