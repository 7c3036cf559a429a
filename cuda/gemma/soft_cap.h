// Soft cap on the GPU. The contract is gemma/soft_cap.h's; the view is row-major.
#pragma once

#include "cuda/core/stream.h"
#include "tensor/view.h"

namespace paligemma::cuda {

enum class SoftCapKernel {
  best,
  thread_per_number,  // one number per thread
  thread_per_pack,    // four, read and written by one instruction each; needs multiples of 16 bytes
};

void soft_cap(const Stream& stream, float cap, DeviceView<float, 2> x,
              SoftCapKernel kernel = SoftCapKernel::best);

}  // namespace paligemma::cuda
