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

PG_HOST_DEVICE inline float gelu(GeluForm form, float x) {
  if (form == GeluForm::exact) {
    constexpr float kSqrtHalf = 0.70710678118654752f;
    return 0.5f * x * (1.0f + std::erf(x * kSqrtHalf));
  }
  constexpr float kSqrtTwoOverPi = 0.79788456080286536f;
  return 0.5f * x * (1.0f + std::tanh(kSqrtTwoOverPi * (x + 0.044715f * x * x * x)));
}

void gelu(Reference, GeluForm form, View<const float, 2> x, View<float, 2> y);

}  // namespace paligemma
