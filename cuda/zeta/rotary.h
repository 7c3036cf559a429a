// Rotary positions and xPos on the GPU. The contract is zeta/rotary.h's; the features of a head that are
// turned stand side by side, heads and tokens may be further apart.
#pragma once

#include "cuda/core/stream.h"
#include "zeta/rotary.h"

namespace paligemma::cuda {

enum class RotaryKernel {
  best,
  thread_per_pair,   // each pair of numbers with its powers, sine and cosine
  thread_per_angle,  // one for all heads of a token
};

void rotary(const Stream& stream, Index first_position, const RotaryRule& rule, Turn turn,
            DeviceView<float, 3> x, RotaryKernel kernel = RotaryKernel::best);

}  // namespace paligemma::cuda
