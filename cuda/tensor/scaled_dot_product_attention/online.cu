#include "cuda/core/pack.h"
#include "cuda/tensor/scaled_dot_product_attention/attention.h"

namespace paligemma::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * kWarpSize;
constexpr int kRows = 32, kKeys = 32;  // of a block, and of a tile: one key a lane
constexpr int kRowsOfWarp = kRows / kWarps;
static_assert(kRows == kWarpSize && kKeys == kWarpSize);
constexpr int kPack = Pack<float>::kSize;

// Shared memory. Each tile has rows of H numbers and zeros up to an odd number of packs, so that
// 8 lanes that read the same pack of 8 rows find them in different banks.
struct Tiles {
  int stride;
  float *q, *k, *v, *sum, *weight;  // sum: of weighted values, of each row; weight: [rows][keys]

  PG_HOST_DEVICE static int stride_for(int H) {
    return (H + kPack - 1) / kPack / 2 * 2 * kPack + kPack;
  }
  PG_HOST_DEVICE static int floats(int H) { return 4 * kRows * stride_for(H) + kRows * kKeys; }
  PG_HOST_DEVICE Tiles(float* memory, int H)
      : stride(stride_for(H)),
        q(memory),
        k(q + kRows * stride),
        v(k + kKeys * stride),
        sum(v + kKeys * stride),
        weight(sum + kRows * stride) {}
};

// A warp copies a head of H numbers, and zeros up to `stride`; zeros alone from null.
__device__ void fill(float* to, const float* from, int H, int stride, int lane) {
  for (int h = lane; h < stride; h += kWarpSize) {
    to[h] = from != nullptr && h < H ? from[h] : 0.0f;
  }
}

__device__ Pack<float> pack_at(const float* p) { return *as_packs(p); }

// Kernel 2, online. A block owns 32 rows: queries of the heads that share a head of keys and values. It
// takes 32 keys at a time into shared memory, so that each is read from device memory once for 32
// rows, and no row of scores has to exist. A warp owns 8 of the rows, and a lane one key of the tile; for
// the values, a lane owns columns. Each row keeps its largest score so far and the sum of
// exp(score - largest); when a larger score comes, that sum and the sum of values are scaled to it.
__global__ void __launch_bounds__(kThreads) attention_online(Attention a) {
  const Tiles tiles(dynamic_shared<float>(), a.H);
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize;
  const int g = static_cast<int>(blockIdx.y), first_row = static_cast<int>(blockIdx.x) * kRows;
  const int packs = (a.H + kPack - 1) / kPack, stride = tiles.stride;
  const Row row_of_lane(a, first_row + lane, g);
  const KeyRange keys = keys_of_warp(row_of_lane.keys);  // that any row of the block sees

  // What follows is the warp's own: its 8 rows of q, of sums and of weights.
  const int first = warp * kRowsOfWarp;
  float* const q = tiles.q + first * stride;
  float* const sum = tiles.sum + first * stride;
  float* const weight = tiles.weight + first * kKeys;
  for (int r = 0; r < kRowsOfWarp; ++r) {
    const Row row(a, first_row + first + r, g);
    fill(q + r * stride, row.t < a.T ? a.q.at(row.t, row.n) : nullptr, a.H, stride, lane);
    fill(sum + r * stride, nullptr, a.H, stride, lane);
  }
  int begin[kRowsOfWarp], end[kRowsOfWarp];
  float largest[kRowsOfWarp], total[kRowsOfWarp];
#pragma unroll
  for (int r = 0; r < kRowsOfWarp; ++r) {
    begin[r] = __shfl_sync(kAllLanes, static_cast<int>(row_of_lane.keys.begin), first + r);
    end[r] = __shfl_sync(kAllLanes, static_cast<int>(row_of_lane.keys.end), first + r);
    largest[r] = -INFINITY;
    total[r] = 0.0f;
  }

  for (Index first_key = keys.begin; first_key < keys.end; first_key += kKeys) {
    __syncthreads();  // all are done with the tiles and the weights before
    for (int i = warp; i < kKeys; i += kWarps) {
      const Index s = first_key + i;
      const bool seen = __any_sync(kAllLanes, contains(row_of_lane.keys, s));
      fill(tiles.k + i * stride, seen ? a.k.at(s, g) : nullptr, a.H, stride, lane);
      fill(tiles.v + i * stride, seen ? a.v.at(s, g) : nullptr, a.H, stride, lane);
    }
    __syncthreads();  // the tiles, and each warp's rows of q, are there

    // Scores of the lane's key.
    float dot[kRowsOfWarp] = {};
    for (int p = 0; p < packs; ++p) {
      const Pack<float> k = pack_at(tiles.k + lane * stride + p * kPack);
#pragma unroll
      for (int r = 0; r < kRowsOfWarp; ++r) {
        const Pack<float> from_q = pack_at(q + r * stride + p * kPack);
        for (int i = 0; i < kPack; ++i) dot[r] += from_q.at[i] * k.at[i];
      }
    }

    // Weights against the largest score so far, and what that is to the sums before.
    const Index s = first_key + lane;
    float rescale[kRowsOfWarp];
#pragma unroll
    for (int r = 0; r < kRowsOfWarp; ++r) {
      float score = begin[r] <= s && s < end[r] ? a.score(dot[r]) : -INFINITY;
      if (a.bias.any()) {
        const Row row(a, first_row + first + r, g);
        score += a.bias.at(row.t, row.n, s);
      }
      const float max = fmaxf(largest[r], warp_max(score));
      const float base = max == -INFINITY ? 0.0f : max;  // nothing seen so far: weights of 0
      rescale[r] = expf(largest[r] - base);
      const float w = expf(score - base);
      total[r] = total[r] * rescale[r] + warp_sum(w);
      largest[r] = max;
      weight[r * kKeys + lane] = w;
    }
    __syncwarp();  // the weights of all lanes' keys are there

    for (int h = lane; h < a.H; h += kWarpSize) {
      float mean[kRowsOfWarp];
#pragma unroll
      for (int r = 0; r < kRowsOfWarp; ++r) mean[r] = sum[r * stride + h] * rescale[r];
      for (int i = 0; i < kKeys; i += kPack) {
        float v[kPack];
        for (int j = 0; j < kPack; ++j) v[j] = tiles.v[(i + j) * stride + h];
#pragma unroll
        for (int r = 0; r < kRowsOfWarp; ++r) {
          const Pack<float> w = pack_at(weight + r * kKeys + i);
          for (int j = 0; j < kPack; ++j) mean[r] += w.at[j] * v[j];
        }
      }
#pragma unroll
      for (int r = 0; r < kRowsOfWarp; ++r) sum[r * stride + h] = mean[r];
    }
  }

#pragma unroll
  for (int r = 0; r < kRowsOfWarp; ++r) {
    const Row row(a, first_row + first + r, g);
    if (row.t >= a.T) continue;
    float* out = a.out.at(row.t, row.n);
    for (int h = lane; h < a.H; h += kWarpSize) out[h] = sum[r * stride + h] / total[r];
    if (lane == 0) a.show_log_sum_exp(row.t, row.n, largest[r], total[r]);
  }
}

}  // namespace

std::size_t online_shared_bytes(int H) { return Tiles::floats(H) * sizeof(float); }

void run_online(const Stream& stream, const Attention& a) {
  const unsigned blocks = blocks_for(Index{a.T} * a.group(), kRows);
  launch({{blocks, static_cast<unsigned>(a.K)}, kThreads, online_shared_bytes(a.H), stream},
         attention_online, a);
}

}  // namespace paligemma::cuda
