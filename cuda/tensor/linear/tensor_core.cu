#include "cuda/core/block_reduce.h"
#include "cuda/tensor/linear/tiles.h"

namespace paligemma::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * kWarpSize;
constexpr int kWarpRows = kTileRows / kWarps;
constexpr int kStages = 3;

constexpr int kRowBlocks = kWarpRows / 16, kTokenBlocks = kTileTokens / 8;
using Sums = float[kRowBlocks][kTokenBlocks][4];

// sum += a warp's 32 rows of weights x 88 tokens, over one stage. mma.sync takes 16 features; one
// ldmatrix brings 32 of eight tokens, so 44 products of 16 x 8 x 16 need 15 loads.
__device__ void multiply(const Stage& stage, Sums& sum) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int first_row = static_cast<int>(threadIdx.x) / kWarpSize * kWarpRows;
#pragma unroll
  for (int piece = 0; piece < kTileI / kPiece; piece += 4) {
    unsigned weights[kRowBlocks][2][4];
#pragma unroll
    for (int m = 0; m < kRowBlocks; ++m) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int r = first_row + m * 16 + lane % 16;
        ldmatrix_x4(weights[m][half],
                    &stage.weights[r][swizzle_128(r, piece + half * 2 + lane / 16)]);
      }
    }
#pragma unroll
    for (int n = 0; n < kTokenBlocks; ++n) {
      const int t = n * 8 + lane % 8;
      unsigned tokens[4];
      ldmatrix_x4(tokens, &stage.tokens[t][swizzle_128(t, piece + lane / 8)]);
      const unsigned halves[2][2] = {{tokens[0], tokens[1]}, {tokens[2], tokens[3]}};
#pragma unroll
      for (int half = 0; half < 2; ++half) {
#pragma unroll
        for (int m = 0; m < kRowBlocks; ++m) mma_bf16(sum[m][n], weights[m][half], halves[half]);
      }
    }
  }
}

// Kernel 4, tensor_core. A block owns 128 rows of weights x 88 tokens, a warp 32 of those rows. While
// one stage is multiplied, the next two are on their way, so tensor cores and memory work at once.
template <class Weights>
__global__ void __launch_bounds__(kThreads) linear_by_tensor_cores(Work work, Weights weights) {
  Stage* const stages = *dynamic_shared<Stage[kStages]>();
  const Index t0 = Index{blockIdx.x} * kTileTokens, o0 = Index{blockIdx.y} * Weights::kOutputs;
  const int first_i = static_cast<int>(blockIdx.z) * work.steps * kTileI;
  const int steps = min(work.steps, (work.I - first_i + kTileI - 1) / kTileI);
  Sums sum = {};

  const auto fill_step = [&](int step) {
    if (step < steps) {
      const int i = first_i + step * kTileI;
      fill_stage<kThreads>(stages[step % kStages], work, weights, t0, o0, i);
    }
    cp_async_commit();  // if empty, too: so the group of a step is known by counting
  };
  for (int step = 0; step < kStages - 1; ++step) fill_step(step);
  for (int step = 0; step < steps; ++step) {
    cp_async_wait<kStages - 2>();  // this thread's copies of this stage
    __syncthreads();               // all threads' copies; and all are done with the stage before
    fill_step(step + kStages - 1);
    multiply(stages[step % kStages], sum);
  }

  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int row = static_cast<int>(threadIdx.x) / kWarpSize * kWarpRows + lane / 4;
#pragma unroll
  for (int m = 0; m < kRowBlocks; ++m) {
#pragma unroll
    for (int n = 0; n < kTokenBlocks; ++n) {
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const Index t = t0 + n * 8 + lane % 4 * 2 + h;
        if (t < work.T) weights.store(t, o0, row + m * 16, sum[m][n][h], sum[m][n][h + 2]);
      }
    }
  }
}

template <class P>
void run(const Stream& stream, const P& product) {
  share_out(stream, product,
            [&]<class Weights>(dim3 grid, const Work& work, const Weights& weights) {
              launch({grid, kThreads, kStages * sizeof(Stage), stream},
                     linear_by_tensor_cores<Weights>, work, weights);
            });
}

}  // namespace

void linear_tensor_core(const Stream& stream, const Product<bf16>& product) {
  run(stream, product);
}
void linear_tensor_core(const Stream& stream, const GatedProduct<bf16>& product) {
  run(stream, product);
}

}  // namespace paligemma::cuda
