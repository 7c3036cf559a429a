// Sums and maxima over the threads of a warp and of a block. Included by kernels only.
#pragma once

#include "cuda/core/gpu.h"

namespace paligemma::cuda {

inline constexpr int kWarpSize = 32;
inline constexpr unsigned kAllLanes = 0xffff'ffffu;

// The sum of `value` over the warp, in every lane. All 32 lanes must call it.
//
//   offset 16:  lane i += lane i^16      each value is now a sum of 2
//   offset  8:  lane i += lane i^8                             of 4
//   ...                                                        of 32 after offset 1
__device__ inline float warp_sum(float value) {
  for (int offset = kWarpSize / 2; offset > 0; offset /= 2) {
    value += __shfl_xor_sync(kAllLanes, value, offset);
  }
  return value;
}

__device__ inline float warp_max(float value) {
  for (int offset = kWarpSize / 2; offset > 0; offset /= 2) {
    value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, offset));
  }
  return value;
}

// The sum of `value` over the block, in every thread. All threads of the block must call it, and the
// block must be one-dimensional and of `Warps` whole warps. `partial` is shared memory of its own:
// it may not be used for a second call before a barrier.
template <int Warps>
__device__ float block_sum(float value, float (&partial)[Warps]) {
  static_assert(Warps >= 1 && Warps <= kWarpSize);
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize;
  value = warp_sum(value);
  if (lane == 0) partial[warp] = value;
  __syncthreads();  // every warp's sum is there before anyone reads it
  return warp_sum(lane < Warps ? partial[lane] : 0.0f);
}

// Likewise the maximum; at least `lowest`.
template <int Warps>
__device__ float block_max(float value, float lowest, float (&partial)[Warps]) {
  static_assert(Warps >= 1 && Warps <= kWarpSize);
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize;
  value = warp_max(value);
  if (lane == 0) partial[warp] = value;
  __syncthreads();  // every warp's maximum is there before anyone reads it
  return warp_max(lane < Warps ? partial[lane] : lowest);
}

}  // namespace paligemma::cuda
