// LayerNorm on the GPU. The contract is tensor/layer_norm.h's; views are row-major.
#pragma once

#include "cuda/core/stream.h"
#include "tensor/numbers.h"
#include "tensor/view.h"

namespace paligemma::cuda {

enum class LayerNormKernel {
  best,
  thread_per_row,     // the reference's loops, one row per thread; uncoalesced
  block_per_row,      // one row per block; neighbouring threads read neighbouring numbers
  block_per_row_vec,  // the same, four numbers per load; needs rows at multiples of 16 bytes
};

// Weight is float, bf16 or f16.
template <class Weight>
void layer_norm(const Stream& stream, DeviceView<const float, 2> x,
                DeviceView<const Weight, 1> scale, DeviceView<const Weight, 1> bias, float eps,
                DeviceView<float, 2> y, LayerNormKernel kernel = LayerNormKernel::best);

}  // namespace paligemma::cuda
