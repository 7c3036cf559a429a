// repeat_kv on the GPU. The contract is gemma/repeat_kv.h's; views are row-major. The definition, to
// be read and tested: kernels of attention read the shared head where it is.
#pragma once

#include "cuda/core/stream.h"
#include "tensor/view.h"

namespace paligemma::cuda {

enum class RepeatKvKernel {
  best,
  thread_per_number,  // one number of y per thread
  thread_per_pack,    // four per load and store; needs heads at multiples of 16 bytes
};

void repeat_kv(const Stream& stream, DeviceView<const float, 3> x, DeviceView<float, 3> y,
               RepeatKvKernel kernel = RepeatKvKernel::best);

}  // namespace paligemma::cuda
