// Sinusoidal positions on the GPU. The contract is zeta/sinusoid.h's; views are row-major.
#pragma once

#include "cuda/core/stream.h"
#include "tensor/view.h"

namespace paligemma::cuda {

enum class SinusoidKernel {
  best,
  thread_per_number,  // each number with an angle of its own
  thread_per_angle,   // its sine and its cosine
};

void sinusoid(const Stream& stream, DeviceView<const int, 1> positions, float scale,
              DeviceView<float, 2> y, SinusoidKernel kernel = SinusoidKernel::best);

// Positions of the host are copied.
void sinusoid(const Stream& stream, View<const int, 1> positions, float scale,
              DeviceView<float, 2> y, SinusoidKernel kernel = SinusoidKernel::best);

}  // namespace paligemma::cuda
