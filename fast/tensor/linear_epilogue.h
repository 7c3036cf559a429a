// What happens to the sums of a linear layer before they are stored: a bias, GELU, the product with a gate.
#pragma once

#include "fast/core/math.h"

namespace paligemma {
namespace {

// GELU of a sum, if it is asked for.
inline Lanes bent(bool gelu, Lanes sum) { return gelu ? gelu_tanh(sum) : sum; }

// `gate` has the sums of the gate's layer, or is null.
inline Lanes finished(bool gelu, Lanes sum, const float* gate) {
  return gate == nullptr ? bent(gelu, sum) : bent(gelu, load<Lanes>(gate)) * sum;
}

}  // namespace
}  // namespace paligemma
