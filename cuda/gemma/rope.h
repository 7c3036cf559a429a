// RoPE on the GPU. The contract is gemma/rope.h's; the heads of a token stand one behind the other,
// tokens may be further apart (queries inside a row of queries, keys and values).
#pragma once

#include "cuda/core/stream.h"
#include "tensor/view.h"

namespace paligemma::cuda {

enum class RopeKernel {
  best,
  thread_per_pair,       // each pair of numbers with a power, a sine and a cosine of its own
  thread_per_angle,      // one for all heads of a token, which are turned by the same angle
  thread_per_frequency,  // and one power for several tokens, whose angles have the same frequency
};

void rope(const Stream& stream, Index first_position, float theta, DeviceView<float, 3> x,
          RopeKernel kernel = RopeKernel::best);

}  // namespace paligemma::cuda
