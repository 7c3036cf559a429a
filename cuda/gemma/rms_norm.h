// RMSNorm on the GPU. The contract (equation, shapes, in place) is gemma/rms_norm.h's; views are
// row-major.
//
// Three kernels, from plain to fast. `best` picks the fastest that the views allow.
#pragma once

#include "cuda/core/stream.h"
#include "gemma/rms_norm.h"

namespace paligemma::cuda {

enum class RmsNormKernel {
  best,
  thread_per_row,     // the reference's loop, one row per thread; uncoalesced
  block_per_row,      // one row per block; neighbouring threads read neighbouring numbers
  block_per_row_vec,  // the same, four numbers per load; needs rows at multiples of 16 bytes
};

// Weight is float, bf16 or f16.
template <class Weight>
void rms_norm(const Stream& stream, DeviceView<const float, 2> x, DeviceView<const Weight, 1> scale,
              RmsNormRule rule, DeviceView<float, 2> y, RmsNormKernel kernel = RmsNormKernel::best);

}  // namespace paligemma::cuda
