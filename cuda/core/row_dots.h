// Inner products of rows of weights with one or a few x, by a warp. Products of a matrix with few tokens
// are made of them. Included by kernels only.
#pragma once

#include "cuda/core/block_reduce.h"
#include "cuda/core/pack.h"
#include "tensor/numbers.h"

namespace paligemma::cuda {

// sum[r][t] = sum_i xs[t][i] rows[r][i], in every lane. All 32 lanes must call it. Each lane takes every
// 32nd pack of 16 bytes of each row, and reads it once for all tokens. With `Packed`, n must be a
// multiple of Pack<Weight>::kSize, and rows and xs must stand at multiples of 16 bytes.
template <bool Packed, int Rows, int Tokens, class Weight>
__device__ void row_dots(const Weight* const (&rows)[Rows], const float* const (&xs)[Tokens], int n,
                         float (&sum)[Rows][Tokens]) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  for (auto& of_row : sum) {
    for (float& s : of_row) s = 0.0f;
  }
  if constexpr (Packed) {
    constexpr int kEach = Pack<Weight>::kSize, kFloats = Pack<float>::kSize;
#pragma unroll 4
    for (int i = lane * kEach; i < n; i += kWarpSize * kEach) {
      Pack<Weight> weights[Rows];
      for (int r = 0; r < Rows; ++r) weights[r] = load_once(as_packs(rows[r] + i));
      for (int t = 0; t < Tokens; ++t) {
        Pack<float> x[kEach / kFloats];
        for (int p = 0; p < kEach / kFloats; ++p) x[p] = as_packs(xs[t] + i)[p];
        for (int r = 0; r < Rows; ++r) {
          for (int k = 0; k < kEach; ++k) {
            sum[r][t] += x[k / kFloats].at[k % kFloats] * widen(weights[r].at[k]);
          }
        }
      }
    }
  } else {
    for (int i = lane; i < n; i += kWarpSize) {
      for (int r = 0; r < Rows; ++r) {
        const float weight = widen(rows[r][i]);
        for (int t = 0; t < Tokens; ++t) sum[r][t] += xs[t][i] * weight;
      }
    }
  }
  for (auto& of_row : sum) {
    for (float& s : of_row) s = warp_sum(s);
  }
}

// The same for one token.
template <bool Packed, int Rows, class Weight>
__device__ void row_dots(const Weight* const (&rows)[Rows], const float* x, int n,
                         float (&sum)[Rows]) {
  const float* const xs[1] = {x};
  float sums[Rows][1];
  row_dots<Packed>(rows, xs, n, sums);
  for (int r = 0; r < Rows; ++r) sum[r] = sums[r][0];
}

}  // namespace paligemma::cuda
