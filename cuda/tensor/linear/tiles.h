// What the two tensor-core kernels share: tiles in shared memory, whose rows of weights they hold, and
// how the work is cut into blocks. Included by kernels only.
//
// The weights' rows stand on the side of the instruction that is long (16 or 64), the tokens on the one
// that is any multiple of 8: the 264 tokens of a picture and a short question are three tiles of 88
// without a remainder, SigLIP's 256 patches three tiles with 3%.
#pragma once

#include "cuda/core/scratch.h"
#include "cuda/core/swizzle.h"
#include "cuda/tensor/linear/kernels.h"

namespace paligemma::cuda {

inline constexpr int kTileRows = 128, kTileTokens = 88;
inline constexpr int kTileI = 64;  // features: a row of a tile is 128 bytes, which is all 32 banks
inline constexpr int kPiece = 8;   // numbers of a 16-byte piece, which one cp.async copies

// Both tiles of one step over the features.
struct Stage {
  bf16 weights[kTileRows][kTileI];
  bf16 tokens[kTileTokens][kTileI];
};
static_assert(sizeof(Stage::weights) % 1024 == 0 && sizeof(Stage) % 1024 == 0);

// Fills a tile in the background. row_of(r) is the tile's r-th row in device memory; features beyond I
// become zeros.
template <int Threads, int Rows, class RowOf>
__device__ void fill(bf16 (&tile)[Rows][kTileI], RowOf row_of, int first_i, int I) {
  constexpr int kPieces = kTileI / kPiece;
  static_assert(Threads % kPieces == 0);
  const int piece = static_cast<int>(threadIdx.x) % kPieces, i = first_i + piece * kPiece;
#pragma unroll
  for (int r0 = 0; r0 < Rows; r0 += Threads / kPieces) {
    const int r = r0 + static_cast<int>(threadIdx.x) / kPieces;
    if (r >= Rows) break;
    cp_async_16(&tile[r][swizzle_128(r, piece)], row_of(r) + (i < I ? i : 0), i < I);
  }
}

// Rows beyond the last one are the last one once more: what comes of them is not stored.

// A tile of 128 rows of one matrix.
struct OneMatrix {
  const bf16* weight;
  Index O;
  SumEnding<bf16> epilogue;
  Index part;  // numbers from the sums of one part of the features to those of the next

  static constexpr int kOutputs = kTileRows;  // of a tile

  __device__ const bf16* row(Index o0, int r, int I) const {
    return weight + min(o0 + r, O - 1) * I;
  }
  // Takes the sums of rows r and r + 8.
  __device__ void store(Index t, Index o0, int r, float sum, float sum_8_below) const {
    SumEnding<bf16> end = epilogue;
    end.y += blockIdx.z * part;
    if (o0 + r < O) end(t, o0 + r, sum);
    if (o0 + r + 8 < O) end(t, o0 + r + 8, sum_8_below);
  }
};

// A tile of 64 rows of gate and the same 64 of up, in turns of eight: so the thread that has a sum of
// row r, of gate, also has that of row r + 8, of up, and neither goes through memory.
struct GateAndUp {
  const bf16 *gate, *up;
  Index O;
  GeluForm form;
  float* y;

  static constexpr int kOutputs = kTileRows / 2;

  __device__ static Index output(Index o0, int r) { return o0 + r / 16 * 8 + r % 8; }
  __device__ const bf16* row(Index o0, int r, int I) const {
    return (r % 16 < 8 ? gate : up) + min(output(o0, r), O - 1) * I;
  }
  __device__ void store(Index t, Index o0, int r, float of_gate, float of_up) const {
    const Index o = output(o0, r);
    if (o < O) y[t * O + o] = gelu(form, of_gate) * of_up;
  }
};

// What a block needs to know beside the weights.
struct Work {
  const bf16* x;  // [T, I]
  Index T;
  int I;
  int steps;  // of a part of the features; a block's part is blockIdx.z
};

// Starts the copies of one stage: `weights` from output o0, tokens from t0, features from first_i on.
template <int Threads, class Weights>
__device__ void fill_stage(Stage& to, const Work& work, const Weights& weights, Index t0, Index o0,
                           int first_i) {
  fill<Threads>(
      to.weights, [&](int r) { return weights.row(o0, r, work.I); }, first_i, work.I);
  fill<Threads>(
      to.tokens, [&](int r) { return work.x + min(t0 + r, work.T - 1) * work.I; }, first_i, work.I);
}

// Blocks with the same weights run next to each other, so that these come from L2 but for the first.
template <class Weights>
dim3 grid_for(Index T, const Weights& weights, int parts) {
  return dim3(blocks_for(T, kTileTokens), blocks_for(weights.O, Weights::kOutputs),
              static_cast<unsigned>(parts));
}

// Rounds x and calls run(grid, work, weights). If the outputs are few, several blocks share the
// features of each, and their sums are added up behind.
template <class Run>
void share_out(const Stream& stream, const Product<bf16>& p, Run run) {
  constexpr Index kBlocks = 2 * 132;  // two on each multiprocessor of an H200
  constexpr Index kLeastSteps = 8;    // of a block: the sums of fewer cost more than they gain
  const Index steps = (p.I + kTileI - 1) / kTileI;
  const Index tiles = Index{blocks_for(p.T, kTileTokens)} * blocks_for(p.O, kTileRows);
  const Index wanted = max(Index{1}, min(kBlocks / tiles, steps / kLeastSteps));
  const Index steps_each = (steps + wanted - 1) / wanted;
  const Index parts = (steps + steps_each - 1) / steps_each;

  const Scratch<bf16, 2> x(stream, {p.T, p.I});
  round_to_bf16(stream, p.x, p.T * p.I, x.view().data());
  const Work work{x.view().data(), p.T, p.I, static_cast<int>(steps_each)};
  OneMatrix weights{p.weight, p.O, p.epilogue, 0};
  const dim3 grid = grid_for(p.T, weights, static_cast<int>(parts));
  if (parts == 1) return run(grid, work, weights);

  const Scratch<float, 3> sums(stream, {parts, p.T, p.O});
  weights.epilogue = {nullptr, Ending::store, sums.view().data(), p.O};
  weights.part = p.T * p.O;
  run(grid, work, weights);
  add_parts(stream, sums.view(), p.epilogue);
}

template <class Run>
void share_out(const Stream& stream, const GatedProduct<bf16>& p, Run run) {
  const Scratch<bf16, 2> x(stream, {p.T, p.I});
  round_to_bf16(stream, p.x, p.T * p.I, x.view().data());
  const Work work{x.view().data(), p.T, p.I, (p.I + kTileI - 1) / kTileI};
  const GateAndUp weights{p.gate, p.up, p.O, p.form, p.y};
  run(grid_for(p.T, weights, 1), work, weights);
}

}  // namespace paligemma::cuda
