// Residual add on the GPU. The contract is tensor/residual_add.h's; views are row-major.
#pragma once

#include "cuda/core/stream.h"
#include "tensor/view.h"

namespace paligemma::cuda {

enum class ResidualAddKernel {
  best,
  thread_per_number,  // one sum per thread
  thread_per_pack,    // four, read and written by one instruction each; needs multiples of 16 bytes
};

void residual_add(const Stream& stream, DeviceView<const float, 2> branch, DeviceView<float, 2> x,
                  ResidualAddKernel kernel = ResidualAddKernel::best);

}  // namespace paligemma::cuda
