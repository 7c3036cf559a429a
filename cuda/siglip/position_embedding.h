// Position embedding on the GPU. The contract is siglip/position_embedding.h's; views are row-major.
#pragma once

#include "cuda/core/stream.h"
#include "tensor/numbers.h"
#include "tensor/view.h"

namespace paligemma::cuda {

enum class PositionEmbeddingKernel {
  best,
  thread_per_number,  // one sum per thread
  thread_per_pack,    // four; the table's numbers come in one load as well, 8 or 16 bytes
};

// Weight is float, bf16 or f16.
template <class Weight>
void position_embedding(const Stream& stream, DeviceView<const Weight, 2> table,
                        DeviceView<float, 2> x,
                        PositionEmbeddingKernel kernel = PositionEmbeddingKernel::best);

}  // namespace paligemma::cuda
