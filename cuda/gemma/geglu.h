// GeGLU on the GPU. The contract is gemma/geglu.h's; views are row-major.
#pragma once

#include "cuda/core/stream.h"
#include "tensor/gelu.h"

namespace paligemma::cuda {

enum class GegluKernel {
  best,
  thread_per_number,  // one product per thread
  thread_per_pack,    // four, read and written by one instruction each; needs multiples of 16 bytes
};

void geglu(const Stream& stream, GeluForm form, DeviceView<const float, 2> gate,
           DeviceView<const float, 2> up, DeviceView<float, 2> y,
           GegluKernel kernel = GegluKernel::best);

}  // namespace paligemma::cuda
