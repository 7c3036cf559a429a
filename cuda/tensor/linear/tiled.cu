#include "cuda/tensor/linear/kernels.h"

namespace paligemma::cuda {
namespace {

constexpr int kTile = 64, kTileI = 16;   // 64 tokens x 64 outputs, 16 features at a time
constexpr int kEach = 4;                 // of the 16 x 16 threads each has 4 x 4 outputs
constexpr int kSide = kTile / kEach;     // threads along either side
constexpr int kThreads = kSide * kSide;  // each loads four numbers of either tile
static_assert(kThreads * kEach == kTile * kTileI);

// A tile stands transposed, so that what a thread needs of one feature are neighbours; the padding
// leaves two, not four, of the numbers that a warp stores at once to a bank.
struct Tile {
  Group<float, kEach> at[kTileI][kSide + 1];

  // Numbers are widened here, once for 64 uses each.
  template <class T>
  __device__ void fill(const T* matrix, Index first_row, Index rows, int first_i, int I,
                       bool whole) {
    const int row = static_cast<int>(threadIdx.x) / (kTileI / kEach);
    const int column = static_cast<int>(threadIdx.x) % (kTileI / kEach) * kEach;
    const int i = first_i + column;
    Group<T, kEach> numbers = {};
    if (first_row + row < rows) {
      const T* from = matrix + (first_row + row) * I + i;
      if (whole && i < I) {
        numbers = *as_groups<kEach>(from);
      } else {
        for (int k = 0; k < kEach; ++k) {
          if (i + k < I) numbers.at[k] = from[k];
        }
      }
    }
    for (int k = 0; k < kEach; ++k) {
      at[column + k][row / kEach].at[row % kEach] = widen(numbers.at[k]);
    }
  }
};

// Kernel 2, tiled. A block owns 64 tokens x 64 outputs; a thread 4 x 4 of them, in registers. A number
// that came from memory serves 64 sums, one that came from shared memory four.
template <class Weight>
__global__ void __launch_bounds__(kThreads)
    linear_by_tiles(Product<Weight> p, bool whole_x, bool whole_weight) {
  __shared__ Tile x_tile, weight_tile;
  const int column = static_cast<int>(threadIdx.x) % kSide;
  const int row = static_cast<int>(threadIdx.x) / kSide;
  const Index t0 = Index{blockIdx.y} * kTile, o0 = Index{blockIdx.x} * kTile;
  float sum[kEach][kEach] = {};

  for (int i0 = 0; i0 < p.I; i0 += kTileI) {
    x_tile.fill(p.x, t0, p.T, i0, p.I, whole_x);
    weight_tile.fill(p.weight, o0, p.O, i0, p.I, whole_weight);
    __syncthreads();  // both tiles are there for all
    for (int i = 0; i < kTileI; ++i) {
      const Group<float, kEach> xs = x_tile.at[i][row], weights = weight_tile.at[i][column];
      for (int t = 0; t < kEach; ++t) {
        for (int o = 0; o < kEach; ++o) sum[t][o] += xs.at[t] * weights.at[o];
      }
    }
    __syncthreads();  // all have read before the tiles are filled again
  }

  for (int t = 0; t < kEach; ++t) {
    for (int o = 0; o < kEach; ++o) {
      const Index at_t = t0 + row * kEach + t, at_o = o0 + column * kEach + o;
      if (at_t < p.T && at_o < p.O) p.epilogue(at_t, at_o, sum[t][o]);
    }
  }
}

}  // namespace

template <class Weight>
void linear_tiled(const Stream& stream, const Product<Weight>& p) {
  const bool whole = p.I % kEach == 0;
  launch({dim3(blocks_for(p.O, kTile), blocks_for(p.T, kTile)), kThreads, 0, stream},
         linear_by_tiles<Weight>, p, whole && is_group_aligned<kEach>(p.x),
         whole && is_group_aligned<kEach>(p.weight));
}

template void linear_tiled(const Stream&, const Product<float>&);
template void linear_tiled(const Stream&, const Product<bf16>&);
template void linear_tiled(const Stream&, const Product<f16>&);

}  // namespace paligemma::cuda
