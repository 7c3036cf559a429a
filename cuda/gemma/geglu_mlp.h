// The first half of Gemma's MLP (gemma/geglu_mlp.h) on the GPU: gate, up and their product as one
// operation, so that neither projection is written and read again. tensor/linear's gate is this.
#pragma once

#include "cuda/core/device_buffer.h"
#include "cuda/core/device_weights.h"
#include "cuda/tensor/linear.h"
#include "gemma/geglu_mlp.h"

namespace paligemma::cuda {

// y = gelu(x gate^T) * (x up^T)
//
//   x         [T, I]
//   gate, up  [F, I]   float, bf16 or f16
//   y         [T, F]   must not overlap x
//
// Views are row-major. warp_per_output, tensor_core and warpgroup are one kernel; the others compute
// linear, linear and geglu.
template <class Weight>
void linear_geglu(const Stream& stream, DeviceView<const float, 2> x,
                  DeviceView<const Weight, 2> gate, DeviceView<const Weight, 2> up, GeluForm form,
                  DeviceView<float, 2> y, LinearKernel kernel = LinearKernel::best);

}  // namespace paligemma::cuda
