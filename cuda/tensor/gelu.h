// GELU on the GPU. The contract is tensor/gelu.h's; views are row-major. One number's gelu is the same
// function on both sides, tensor/gelu.h's.
#pragma once

#include "cuda/core/stream.h"
#include "tensor/gelu.h"

namespace paligemma::cuda {

enum class GeluKernel {
  best,
  thread_per_number,  // one number per thread
  thread_per_pack,    // four, read and written by one instruction each; needs multiples of 16 bytes
};

void gelu(const Stream& stream, GeluForm form, DeviceView<const float, 2> x, DeviceView<float, 2> y,
          GeluKernel kernel = GeluKernel::best);

}  // namespace paligemma::cuda
