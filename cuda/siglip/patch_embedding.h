// Patch embedding on the GPU. The contract is siglip/patch_embedding.h's; views are row-major.
//
// unfold makes a row of each patch, for one product of matrices. Where that may round (weights of bf16,
// a stream of Math::bf16) it also copies the weights, to rows of a multiple of 8 numbers, which is what
// tensor cores load; docs/siglip/patch_embedding.md says what that costs and gains.
#pragma once

#include "cuda/core/stream.h"
#include "tensor/numbers.h"
#include "tensor/view.h"

namespace paligemma::cuda {

enum class PatchEmbeddingKernel {
  best,
  thread_per_output,  // the definition: one inner product per thread
  unfold,             // patches become rows in scratch memory, then linear
};

// Weight is float, bf16 or f16.
template <class Weight>
void patch_embedding(const Stream& stream, DeviceView<const float, 3> pixels,
                     DeviceView<const Weight, 2> weight, DeviceView<const Weight, 1> bias,
                     Index patch_size, DeviceView<float, 2> y,
                     PatchEmbeddingKernel kernel = PatchEmbeddingKernel::best);

}  // namespace paligemma::cuda
