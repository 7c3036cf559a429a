// Softmax on the GPU. The contract is tensor/softmax.h's; views are row-major.
#pragma once

#include "cuda/core/stream.h"
#include "tensor/view.h"

namespace paligemma::cuda {

enum class SoftmaxKernel {
  best,
  thread_per_row,  // the reference's three loops; uncoalesced
  warp_per_row,    // three passes over the row by 32 threads, which need no barrier
  block_per_row,   // three passes by 256 threads
  online,          // two passes: maximum and sum are found together
};

void softmax(const Stream& stream, DeviceView<const float, 2> x, DeviceView<float, 2> y,
             SoftmaxKernel kernel = SoftmaxKernel::best);

}  // namespace paligemma::cuda
