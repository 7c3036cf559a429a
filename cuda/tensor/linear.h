// Linear on the GPU. The contract (equation, shapes, windows) is tensor/linear.h's; the columns of y
// must be neighbours. linear_gelu and linear_add go on with each sum where it stands, in a register,
// so that it is not written and read again.
//
// Kernels from plain to fast. `best` picks by the number of tokens, by the weights and by the stream's
// Math: tensor cores multiply bf16 alone, and take x rounded to it once.
#pragma once

#include "cuda/core/stream.h"
#include "tensor/gelu.h"
#include "tensor/numbers.h"
#include "tensor/view.h"

namespace paligemma::cuda {

enum class LinearKernel {
  best,
  thread_per_output,  // the definition: one inner product per thread
  tiled,              // tiles of x and of the weights in shared memory, 4 x 4 outputs per thread
  warp_per_output,    // for a few tokens: each weight is read once, 32 threads share a row
  tensor_core,        // bf16 weights in rows at multiples of 16 bytes: mma.sync
  warpgroup,          // the same by Hopper's wgmma, which needs compute capability 9.0
};

// y = x weight^T. Weight is float, bf16 or f16.
template <class Weight>
void linear(const Stream& stream, DeviceView<const float, 2> x, DeviceView<const Weight, 2> weight,
            DeviceView<float, 2> y, LinearKernel kernel = LinearKernel::best);

// y = x weight^T + bias
template <class Weight>
void linear(const Stream& stream, DeviceView<const float, 2> x, DeviceView<const Weight, 2> weight,
            DeviceView<const Weight, 1> bias, DeviceView<float, 2> y,
            LinearKernel kernel = LinearKernel::best);

// y = gelu(x weight^T + bias)
template <class Weight>
void linear_gelu(const Stream& stream, DeviceView<const float, 2> x,
                 DeviceView<const Weight, 2> weight, DeviceView<const Weight, 1> bias,
                 GeluForm form, DeviceView<float, 2> y, LinearKernel kernel = LinearKernel::best);

// y += x weight^T
template <class Weight>
void linear_add(const Stream& stream, DeviceView<const float, 2> x,
                DeviceView<const Weight, 2> weight, DeviceView<float, 2> y,
                LinearKernel kernel = LinearKernel::best);

// y += x weight^T + bias
template <class Weight>
void linear_add(const Stream& stream, DeviceView<const float, 2> x,
                DeviceView<const Weight, 2> weight, DeviceView<const Weight, 1> bias,
                DeviceView<float, 2> y, LinearKernel kernel = LinearKernel::best);

}  // namespace paligemma::cuda
