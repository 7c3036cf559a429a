// Patch rows on the GPU. The contract is zeta/patch_rows.h's; views are row-major.
#pragma once

#include "cuda/core/stream.h"
#include "tensor/view.h"

namespace paligemma::cuda {

enum class PatchRowsKernel {
  best,
  thread_per_number,  // each number of y finds its pixel
  thread_per_pack,    // four at once; needs rows of patches of whole packs of 16 bytes
};

void patch_rows(const Stream& stream, DeviceView<const float, 3> pixels, Index patch_size,
                DeviceView<float, 2> y, PatchRowsKernel kernel = PatchRowsKernel::best);

}  // namespace paligemma::cuda
