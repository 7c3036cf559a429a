// Linear on the GPU. The contract (equation, shapes, windows) is tensor/linear.h's; the columns of y
// must be neighbours.
//
// Kernels from plain to fast. `best` picks by the number of tokens, by the weights and by the stream's
// Math: tensor cores multiply bf16 alone, and take x rounded to it once.
#pragma once

#include "cuda/core/device_weights.h"
#include "cuda/core/stream.h"
#include "tensor/linear.h"

namespace paligemma::cuda {

enum class LinearKernel {
  best,
  thread_per_output,  // the definition: one inner product per thread
  tiled,              // tiles of x and of the weights in shared memory, 4 x 4 outputs per thread
  warp_per_output,    // for a few tokens: each weight is read once, 32 threads share a row
  tensor_core,        // bf16 weights in rows at multiples of 16 bytes: mma.sync
  warpgroup,          // the same by Hopper's wgmma, which needs compute capability 9.0
};

// Weight is float, bf16 or f16. A gate and its product without biases, a GELU and a sum are done by the
// kernel that multiplies; other epilogues take kernels of their own.
template <class Weight>
void linear(const Stream& stream, DeviceView<const float, 2> x,
            const Linear<DeviceWeights<Weight>>& w, DeviceView<float, 2> y,
            const Epilogue<DeviceWeights<Weight>>& epilogue = {},
            LinearKernel kernel = LinearKernel::best);

}  // namespace paligemma::cuda
