#include "cuda/core/gpu.h"
#include "cuda/gemma/rope.h"
#include "cuda/gemma/rope/frequency.h"

namespace paligemma::cuda {
namespace {

constexpr int kThreads = 128;  // the pairs of a head of 256
constexpr int kRun = 8;        // tokens that share a frequency in kernel 3

__device__ void turn(float* head, int j, int H, float cos, float sin) {
  const float lower = head[j], upper = head[j + H / 2];
  head[j] = lower * cos - upper * sin;
  head[j + H / 2] = upper * cos + lower * sin;
}

// Kernel 1, thread_per_pair. Block (c, n, t), thread i: pair j = 128 c + i of head n of token t. A warp
// reads 32 neighbours of the lower half and 32 of the upper; arithmetic is what costs.
__global__ void rope_thread_per_pair(Index first_position, float theta, float* x,
                                     Index token_stride, int H) {
  const int j = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  if (j >= H / 2) return;
  const Index n = blockIdx.y, t = blockIdx.z;
  const float angle = static_cast<float>(first_position + t) * frequency_of(j, H, theta);
  turn(x + t * token_stride + n * H, j, H, cosf(angle), sinf(angle));
}

// Kernel 2, thread_per_angle. Block (c, t): all heads of token t are turned by the same angles, so that
// each thread computes one and walks over the heads.
__global__ void rope_thread_per_angle(Index first_position, float theta, float* x,
                                      Index token_stride, int N, int H) {
  const int j = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  if (j >= H / 2) return;
  const Index t = blockIdx.y;
  const float angle = static_cast<float>(first_position + t) * frequency_of(j, H, theta);
  const float cos = cosf(angle), sin = sinf(angle);
  for (int n = 0; n < N; ++n) turn(x + t * token_stride + n * H, j, H, cos, sin);
}

// Kernel 3, thread_per_frequency. Block (c, r): tokens 8 r to 8 r + 7. The power in double is most of
// what a thread computes, and depends on j alone: one is enough for all eight.
__global__ void rope_thread_per_frequency(Index first_position, float theta, float* x,
                                          Index token_stride, int T, int N, int H) {
  const int j = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  if (j >= H / 2) return;
  const float frequency = frequency_of(j, H, theta);
  const int first = static_cast<int>(blockIdx.y) * kRun;
  for (int t = first; t < min(first + kRun, T); ++t) {
    const float angle = static_cast<float>(first_position + t) * frequency;
    const float cos = cosf(angle), sin = sinf(angle);
    for (int n = 0; n < N; ++n) turn(x + t * token_stride + n * H, j, H, cos, sin);
  }
}

}  // namespace

void rope(const Stream& stream, Index first_position, float theta, DeviceView<float, 3> x,
          RopeKernel kernel) {
  PG_CHECK(x.size(2) % 2 == 0, "x " + shape_text(x) + ": the head size must be even");
  PG_CHECK(x.stride()[2] == 1 && x.stride()[1] == x.size(2), "heads are not side by side");
  const int T = static_cast<int>(x.size(0)), N = static_cast<int>(x.size(1));
  const int H = static_cast<int>(x.size(2));
  const Index token_stride = x.stride()[0];
  if (x.count() == 0) return;

  if (kernel == RopeKernel::best) {  // with few tokens, rather more threads than fewer powers
    kernel = T >= 32 * kRun ? RopeKernel::thread_per_frequency : RopeKernel::thread_per_angle;
  }
  const unsigned columns = blocks_for(H / 2, kThreads);
  switch (kernel) {
    case RopeKernel::thread_per_pair:
      return launch({dim3(columns, blocks_for(N), blocks_for(T)), kThreads, 0, stream},
                    rope_thread_per_pair, first_position, theta, x.data(), token_stride, H);
    case RopeKernel::thread_per_angle:
      return launch({dim3(columns, blocks_for(T)), kThreads, 0, stream}, rope_thread_per_angle,
                    first_position, theta, x.data(), token_stride, N, H);
    case RopeKernel::thread_per_frequency:
      return launch({dim3(columns, blocks_for(T, kRun)), kThreads, 0, stream},
                    rope_thread_per_frequency, first_position, theta, x.data(), token_stride, T, N,
                    H);
    case RopeKernel::best:
      break;  // replaced above
  }
}

}  // namespace paligemma::cuda
