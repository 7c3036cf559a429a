// Unit rows on the GPU. The contract (equation, shapes, in place) is tensor/unit_rows.h's; views are
// row-major.
#pragma once

#include "cuda/core/stream.h"
#include "tensor/unit_rows.h"

namespace paligemma::cuda {

enum class UnitRowsKernel {
  best,
  thread_per_group,  // the reference's loop; a warp's loads lie a group apart
  warp_per_group,    // neighbouring lanes read neighbouring numbers, and add up by shuffles
};

// Weight is float, bf16 or f16.
template <class Weight>
void unit_rows(const Stream& stream, DeviceView<const float, 2> x, UnitRule rule,
               DeviceView<const Weight, 1> scale, DeviceView<float, 2> y,
               UnitRowsKernel kernel = UnitRowsKernel::best);

}  // namespace paligemma::cuda
