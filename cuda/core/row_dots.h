// Inner products of rows of weights with one x, by a warp: what every product of a matrix and a single
// token is made of. Included by kernels only.
#pragma once

#include "cuda/core/block_reduce.h"
#include "cuda/core/pack.h"
#include "tensor/numbers.h"

namespace paligemma::cuda {

// sum[r] = sum_i x[i] rows[r][i], in every lane. All 32 lanes must call it. Each lane takes every 32nd
// pack of 16 bytes of each row; x is read once for all rows. With `Packed`, n must be a multiple of
// Pack<Weight>::kSize, and rows and x must stand at multiples of 16 bytes.
template <bool Packed, int Rows, class Weight>
__device__ void row_dots(const Weight* const (&rows)[Rows], const float* x, int n,
                         float (&sum)[Rows]) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  for (float& s : sum) s = 0.0f;
  if constexpr (Packed) {
    constexpr int kEach = Pack<Weight>::kSize, kFloats = Pack<float>::kSize;
#pragma unroll 4
    for (int i = lane * kEach; i < n; i += kWarpSize * kEach) {
      Pack<Weight> weights[Rows];
      for (int r = 0; r < Rows; ++r) weights[r] = load_once(as_packs(rows[r] + i));
      Pack<float> xs[kEach / kFloats];
      for (int p = 0; p < kEach / kFloats; ++p) xs[p] = as_packs(x + i)[p];
      for (int r = 0; r < Rows; ++r) {
        for (int k = 0; k < kEach; ++k) {
          sum[r] += xs[k / kFloats].at[k % kFloats] * widen(weights[r].at[k]);
        }
      }
    }
  } else {
    for (int i = lane; i < n; i += kWarpSize) {
      for (int r = 0; r < Rows; ++r) sum[r] += x[i] * widen(rows[r][i]);
    }
  }
  for (float& s : sum) s = warp_sum(s);
}

}  // namespace paligemma::cuda
