// For compute capability 9.0 alone.
#include "cuda/core/block_reduce.h"
#include "cuda/tensor/linear/tiles.h"

namespace paligemma::cuda {
namespace {

constexpr int kGroupRows = 64;  // of weights, for a warpgroup: four warps
constexpr int kThreads = kTileRows / kGroupRows * 4 * kWarpSize;
constexpr int kAhead = 2;            // stages that are being filled
constexpr int kStages = kAhead + 2;  // and two that are being multiplied

// Kernel 5, warpgroup. The block's tile of kernel 4, owned by two warpgroups. wgmma reads both sides from
// shared memory by itself, so no register and no instruction is spent on loading them, and it runs
// in the background: while it multiplies one stage, the block fills another.
template <class Weights>
__global__ void __launch_bounds__(kThreads) linear_by_warpgroups(Work work, Weights weights) {
  Stage* const stages = *dynamic_shared<Stage[kStages]>();
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize;
  const int group_row = warp / 4 * kGroupRows;
  const Index t0 = Index{blockIdx.x} * kTileTokens, o0 = Index{blockIdx.y} * Weights::kOutputs;
  const int first_i = static_cast<int>(blockIdx.z) * work.steps * kTileI;
  const int steps = min(work.steps, (work.I - first_i + kTileI - 1) / kTileI);
  float sum[kTileTokens / 2] = {};

  const auto fill_step = [&](int step) {
    if (step < steps) {
      const int i = first_i + step * kTileI;
      fill_stage<kThreads>(stages[step % kStages], work, weights, t0, o0, i);
    }
    cp_async_commit();  // if empty, too: so the group of a step is known by counting
  };
  for (int step = 0; step < kAhead; ++step) fill_step(step);
  for (int step = 0; step < steps; ++step) {
    cp_async_wait<kAhead - 1>();  // this thread's copies of this stage
    fence_proxy_async();          // and wgmma may see them
    __syncthreads();  // all threads' copies; and all are done with the product before the last
    const Stage& stage = stages[step % kStages];
    const auto rows = wgmma_tile(stage.weights[group_row]), tokens = wgmma_tile(stage.tokens);
    wgmma_fence();
#pragma unroll
    for (int i = 0; i < kTileI; i += 16) {
      wgmma_64x88(sum, wgmma_columns(rows, i), wgmma_columns(tokens, i));
    }
    wgmma_commit();
    fill_step(step + kAhead);  // where the product before the last was
    wgmma_wait<1>(sum);        // all but this product
  }
  wgmma_wait<0>(sum);

#pragma unroll
  for (int n = 0; n < kTileTokens / 8; ++n) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const Index t = t0 + n * 8 + lane % 4 * 2 + h;
      if (t < work.T)
        weights.store(t, o0, warp * 16 + lane / 4, sum[4 * n + h], sum[4 * n + h + 2]);
    }
  }
}

template <class P>
void run(const Stream& stream, const P& product) {
  share_out(stream, product,
            [&]<class Weights>(dim3 grid, const Work& work, const Weights& weights) {
              launch({grid, kThreads, kStages * sizeof(Stage), stream},
                     linear_by_warpgroups<Weights>, work, weights);
            });
}

}  // namespace

void linear_warpgroup(const Stream& stream, const Product<bf16>& product) { run(stream, product); }
void linear_warpgroup(const Stream& stream, const GatedProduct<bf16>& product) {
  run(stream, product);
}

}  // namespace paligemma::cuda
