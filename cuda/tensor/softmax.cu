#include "cuda/core/block_reduce.h"
#include "cuda/tensor/softmax.h"

namespace paligemma::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarpSize;

// Kernel 1, thread_per_row. Thread t walks row t alone, three times.
__global__ void softmax_thread_per_row(const float* x, float* y, Index T, int S) {
  const Index t = Index{blockIdx.x} * kThreads + threadIdx.x;
  if (t >= T) return;
  x += t * S;
  y += t * S;

  float max = -INFINITY;
  for (int s = 0; s < S; ++s) max = fmaxf(max, x[s]);
  float sum = 0.0f;
  for (int s = 0; s < S; ++s) {
    y[s] = expf(x[s] - max);
    sum += y[s];
  }
  for (int s = 0; s < S; ++s) y[s] /= sum;
}

// Kernel 2, warp_per_row. Warp t owns row t; lane i takes scores i, i + 32, ... so that a load is of
// 32 neighbours. The lanes hold the row's maximum and sum by shuffles: no barrier, no shared memory.
__global__ void softmax_warp_per_row(const float* x, float* y, Index T, int S) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const Index t = Index{blockIdx.x} * kWarps + threadIdx.x / kWarpSize;
  if (t >= T) return;  // whole warps only, so that the others' shuffles have all their lanes
  x += t * S;
  y += t * S;

  float max = -INFINITY;
  for (int s = lane; s < S; s += kWarpSize) max = fmaxf(max, x[s]);
  max = warp_max(max);

  float sum = 0.0f;
  for (int s = lane; s < S; s += kWarpSize) {
    y[s] = expf(x[s] - max);
    sum += y[s];
  }
  sum = warp_sum(sum);
  for (int s = lane; s < S; s += kWarpSize) y[s] /= sum;
}

// Kernel 3, block_per_row. Kernel 2 with 256 threads for a row: for long rows, of which there are too
// few to give every warp of the GPU one.
__global__ void softmax_block_per_row(const float* x, float* y, int S) {
  __shared__ float partial_max[kWarps], partial_sum[kWarps];
  x += Index{blockIdx.x} * S;
  y += Index{blockIdx.x} * S;

  float max = -INFINITY;
  for (int s = threadIdx.x; s < S; s += kThreads) max = fmaxf(max, x[s]);
  max = block_max(max, -INFINITY, partial_max);

  float sum = 0.0f;
  for (int s = threadIdx.x; s < S; s += kThreads) {
    y[s] = expf(x[s] - max);
    sum += y[s];
  }
  sum = block_sum(sum, partial_sum);
  for (int s = threadIdx.x; s < S; s += kThreads) y[s] /= sum;
}

// Kernel 4, online (Milakov & Gimelshein 2018). Each thread keeps the largest score so far and the sum
// of exp(score - largest); when a larger score comes, the sum is scaled to it. So the row is read twice
// and written once, where kernel 3 also writes and reads the exponentials. FlashAttention is this
// loop with values beside the sum.
__global__ void softmax_online(const float* x, float* y, int S) {
  __shared__ float partial_max[kWarps], partial_sum[kWarps];
  x += Index{blockIdx.x} * S;
  y += Index{blockIdx.x} * S;

  float max = -INFINITY, sum = 0.0f;
  for (int s = threadIdx.x; s < S; s += kThreads) {
    const float larger = fmaxf(max, x[s]);
    if (larger == -INFINITY) continue;  // nothing but masked scores so far: a sum of 0
    sum = sum * expf(max - larger) + expf(x[s] - larger);
    max = larger;
  }
  const float row_max = block_max(max, -INFINITY, partial_max);
  const float row_sum = block_sum(sum * expf(max - row_max), partial_sum);
  for (int s = threadIdx.x; s < S; s += kThreads) y[s] = expf(x[s] - row_max) / row_sum;
}

}  // namespace

void softmax(const Stream& stream, DeviceView<const float, 2> x, DeviceView<float, 2> y,
             SoftmaxKernel kernel) {
  PG_CHECK(y.shape() == x.shape(), "x " + shape_text(x) + ", y " + shape_text(y));
  PG_CHECK(x.is_row_major() && y.is_row_major(), "strided view");
  const Index T = x.size(0);
  const int S = static_cast<int>(x.size(1));
  if (x.count() == 0) return;

  constexpr int kLongRow = 1024;  // from here a warp would make too many steps
  if (kernel == SoftmaxKernel::best) {
    kernel = S < kLongRow ? SoftmaxKernel::warp_per_row : SoftmaxKernel::online;
  }
  switch (kernel) {
    case SoftmaxKernel::thread_per_row:
      return launch({blocks_for(T, kThreads), kThreads, 0, stream}, softmax_thread_per_row,
                    x.data(), y.data(), T, S);
    case SoftmaxKernel::warp_per_row:
      return launch({blocks_for(T, kWarps), kThreads, 0, stream}, softmax_warp_per_row, x.data(),
                    y.data(), T, S);
    case SoftmaxKernel::block_per_row:
      return launch({blocks_for(T), kThreads, 0, stream}, softmax_block_per_row, x.data(), y.data(),
                    S);
    case SoftmaxKernel::online:
      return launch({blocks_for(T), kThreads, 0, stream}, softmax_online, x.data(), y.data(), S);
    case SoftmaxKernel::best:
      break;  // replaced above
  }
}

}  // namespace paligemma::cuda
