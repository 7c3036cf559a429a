#include "cuda/core/scratch.h"
#include "cuda/tensor/scaled_dot_product_attention/attention.h"
#include "tensor/numbers.h"

namespace paligemma::cuda {
namespace {

constexpr int kRowWarps = 2, kKeyWarps = 2;  // a warp has 16 rows and half of each tile of keys
constexpr int kThreads = kRowWarps * kKeyWarps * kWarpSize;
constexpr int kRows = kRowWarps * 16;
constexpr int kKeysOfWarp = 32, kKeys = kKeyWarps * kKeysOfWarp;
static_assert(kRows == kWarpSize && kKeyWarps == 2);

// Shared memory. Rows are 16 bytes longer than their numbers, and so an odd number of times 16 bytes
// apart: the 8 rows of an ldmatrix lie in different banks.
template <int kHead>
struct alignas(16) Tiles {
  static constexpr int kStride = kHead + 8;
  static_assert(kStride % 16 == 8);
  bf16 q[kRows][kStride];
  union {
    bf16 k[kKeys][kStride];
    float mean[kRowWarps][kHead / 2][kWarpSize];  // at the end: of one half of the keys
  };
  bf16 v[kKeys][kStride];
  float largest[kRows], total[kRows];  // at the end, likewise
};

// Two numbers from column h on, zeros beyond H, at a multiple of 4 bytes.
__device__ void store_rounded(bf16* to, const float* from, int h, int H) {
  const float lower = from != nullptr && h < H ? from[h] : 0.0f;
  const float upper = from != nullptr && h + 1 < H ? from[h + 1] : 0.0f;
  *reinterpret_cast<unsigned*>(to + h) = pack_bf16(lower, upper);
}

// Rounds k and v once for all blocks that read them. A warp owns a row of one head: `head` numbers, H
// of them from k and v, in a row that no query sees all zeros. It looks for a query that sees
// the key from the last one backwards, who in every mask but a window sees most.
__global__ void attention_round(Attention a, int head, bf16* k, bf16* v) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const Index row = (Index{blockIdx.x} * kThreads + threadIdx.x) / kWarpSize;  // of [K, S]
  if (row >= Index{a.K} * a.S) return;                                         // whole warps only
  const Index s = row % a.S, g = row / a.S;
  bool seen = a.visible == nullptr;
  for (int last = a.T - 1; !seen && last >= 0; last -= kWarpSize) {
    const int t = last - lane;
    seen = __any_sync(kAllLanes, t >= 0 && contains(a.visible[t], s));
  }
  const float* const from_k = seen ? a.k.at(s, g) : nullptr;
  const float* const from_v = seen ? a.v.at(s, g) : nullptr;
  for (int h = lane * 2; h < head; h += kWarpSize * 2) {
    store_rounded(k + row * head, from_k, h, a.H);
    store_rounded(v + row * head, from_v, h, a.H);
  }
}

// Begins to copy `count` rows of rounded keys or values, at most a tile, and zeros after them.
template <int kHead>
__device__ void begin_copy(bf16 (&tile)[kKeys][Tiles<kHead>::kStride], const bf16* from,
                           Index count) {
  constexpr int kPack = 8, kPacks = kHead / kPack;  // of 16 bytes, in a row
  for (int i = threadIdx.x; i < kKeys * kPacks; i += kThreads) {
    const int row = i / kPacks, column = i % kPacks * kPack;
    const bool inside = row < count;
    cp_async_16(&tile[row][column], inside ? from + i * kPack : from, inside);
  }
  cp_async_commit();
}

// Over the four lanes that hold a row of mma_bf16's sums.
__device__ float quad_max(float x) {
  x = fmaxf(x, __shfl_xor_sync(kAllLanes, x, 1));
  return fmaxf(x, __shfl_xor_sync(kAllLanes, x, 2));
}
__device__ float quad_sum(float x) {
  x += __shfl_xor_sync(kAllLanes, x, 1);
  return x + __shfl_xor_sync(kAllLanes, x, 2);
}

// Kernel 3, tensor_core (FlashAttention-2, Dao 2023). Kernel 2 with its two products on tensor cores. A
// block owns 32 rows, queries of the heads that share a head of keys and values; a warp owns 16 rows
// and every other 32 keys, with sums of its own that are added at the end: for a picture and a prompt
// there are too few rows to give each tensor core some. Scores and sums stay in registers: the
// scores lie there as the left operand of the second product wants its weights.
//
// While the scores are computed, the values are on their way; while these are weighted, the next keys.
template <int kHead>
__global__ void __launch_bounds__(kThreads)
    attention_tensor_core(Attention a, const bf16* k, const bf16* v) {
  Tiles<kHead>& tiles = *dynamic_shared<Tiles<kHead>>();
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize;
  const int row_of_warp = warp % kRowWarps * 16, key_of_warp = warp / kRowWarps * kKeysOfWarp;
  const int group = lane / 4, pair = lane % 4 * 2;  // this lane's place in an operand (ptx.h)
  const int g = static_cast<int>(blockIdx.y), first_row = static_cast<int>(blockIdx.x) * kRows;

  const KeyRange keys = keys_of_warp(Row(a, first_row + lane, g).keys);  // that any row sees
  k += (Index{g} * a.S + keys.begin) * kHead;
  v += (Index{g} * a.S + keys.begin) * kHead;
  const int count = static_cast<int>(keys.end - keys.begin);
  begin_copy<kHead>(tiles.k, k, count);
  for (int i = threadIdx.x; i < kRows * kHead / 2; i += kThreads) {
    const int row = i / (kHead / 2), h = i % (kHead / 2) * 2;
    const Row of(a, first_row + row, g);
    store_rounded(tiles.q[row], of.t < a.T ? a.q.at(of.t, of.n) : nullptr, h, a.H);
  }
  int begin[2], end[2];  // of the lane's two rows, counted from the first key, as all below
  for (int half = 0; half < 2; ++half) {
    const Row row(a, first_row + row_of_warp + group + half * 8, g);
    begin[half] = static_cast<int>(row.keys.begin - keys.begin);
    end[half] = static_cast<int>(row.keys.end - keys.begin);
  }

  float mean[kHead / 8][4] = {}, largest[2] = {-INFINITY, -INFINITY}, total[2] = {};
  for (int first = 0; first < count; first += kKeys) {
    cp_async_wait<0>();
    __syncthreads();  // the keys, and q, are there; all are done with the values before
    begin_copy<kHead>(tiles.v, v + Index{first} * kHead, count - first);

    float score[kKeysOfWarp / 8][4] = {};
#pragma unroll
    for (int h = 0; h < kHead; h += 16) {
      unsigned left[4];
      ldmatrix_x4(left, &tiles.q[row_of_warp + lane % 16][h + lane / 16 * 8]);
#pragma unroll
      for (int j = 0; j < kKeysOfWarp / 8; j += 2) {
        unsigned right[4];
        ldmatrix_x4(right,
                    &tiles.k[key_of_warp + j * 8 + lane % 8 + lane / 16 * 8][h + lane / 8 % 2 * 8]);
        mma_bf16(score[j], left, {right[0], right[1]});
        mma_bf16(score[j + 1], left, {right[2], right[3]});
      }
    }

    // Weights against the largest score so far, and what that is to the sums before.
    float rescale[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float max = largest[half];
#pragma unroll
      for (int j = 0; j < kKeysOfWarp / 8; ++j) {
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          const int s = first + key_of_warp + j * 8 + pair + i;
          float& x = score[j][half * 2 + i];
          x = begin[half] <= s && s < end[half] ? a.score(x) : -INFINITY;
          max = fmaxf(max, x);
        }
      }
      max = quad_max(max);
      const float base = max == -INFINITY ? 0.0f : max;  // nothing seen so far: weights of 0
      rescale[half] = __expf(largest[half] - base);
      largest[half] = max;
      total[half] *= rescale[half];
#pragma unroll
      for (int j = 0; j < kKeysOfWarp / 8; ++j) {
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          float& x = score[j][half * 2 + i];
          x = __expf(x - base);
          total[half] += x;
        }
      }
    }
#pragma unroll
    for (auto& tile : mean) {
#pragma unroll
      for (int i = 0; i < 4; ++i) tile[i] *= rescale[i / 2];
    }

    cp_async_wait<0>();
    __syncthreads();  // the values are there; all are done with the keys
    if (first + kKeys < count) {
      begin_copy<kHead>(tiles.k, k + Index{first + kKeys} * kHead, count - first - kKeys);
    }
#pragma unroll
    for (int j = 0; j < kKeysOfWarp / 8; j += 2) {
      const float(&lo)[4] = score[j], (&hi)[4] = score[j + 1];
      const unsigned left[4] = {pack_bf16(lo[0], lo[1]), pack_bf16(lo[2], lo[3]),
                                pack_bf16(hi[0], hi[1]), pack_bf16(hi[2], hi[3])};
#pragma unroll
      for (int d = 0; d < kHead / 8; d += 2) {
        unsigned right[4];
        ldmatrix_x4_trans(right, &tiles.v[key_of_warp + j * 8 + lane % 16][d * 8 + lane / 16 * 8]);
        mma_bf16(mean[d], left, {right[0], right[1]});
        mma_bf16(mean[d + 1], left, {right[2], right[3]});
      }
    }
  }

  // The warps of the second keys hand over what they have. Nobody needs the keys' tile any more.
  for (float& x : total) x = quad_sum(x);
  float(&theirs)[kHead / 2][kWarpSize] = tiles.mean[warp % kRowWarps];
  if (key_of_warp > 0) {
#pragma unroll
    for (int i = 0; i < kHead / 2; ++i) theirs[i][lane] = mean[i / 4][i % 4];
    if (pair == 0) {
      for (int half = 0; half < 2; ++half) {
        tiles.largest[row_of_warp + group + half * 8] = largest[half];
        tiles.total[row_of_warp + group + half * 8] = total[half];
      }
    }
  }
  __syncthreads();  // all that is handed over is there
  if (key_of_warp > 0) return;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = row_of_warp + group + half * 8;
    const Row of(a, first_row + row, g);
    if (of.t >= a.T) continue;
    const float max = fmaxf(largest[half], tiles.largest[row]);
    const float ours_by = __expf(largest[half] - max), theirs_by = __expf(tiles.largest[row] - max);
    const float sum_of_both = total[half] * ours_by + tiles.total[row] * theirs_by;
    const float inv_total = 1.0f / sum_of_both;
    if (pair == 0) a.show_log_sum_exp(of.t, of.n, max, sum_of_both);
    float* const out = a.out.at(of.t, of.n);
#pragma unroll
    for (int i = 0; i < kHead / 4; ++i) {
      const int j = i / 2, r = half * 2 + i % 2, h = j * 8 + pair + i % 2;
      const float sum = mean[j][r] * ours_by + theirs[j * 4 + r][lane] * theirs_by;
      if (h < a.H) out[h] = sum * inv_total;
    }
  }
}

template <int kHead>
void run(const Stream& stream, const Attention& a) {
  const Scratch<bf16, 3> k(stream, {a.K, a.S, kHead}), v(stream, {a.K, a.S, kHead});
  constexpr int kWarps = kThreads / kWarpSize;
  launch({blocks_for(Index{a.K} * a.S, kWarps), kThreads, 0, stream}, attention_round, a, kHead,
         k.view().data(), v.view().data());
  const unsigned blocks = blocks_for(Index{a.T} * a.group(), kRows);
  launch({{blocks, static_cast<unsigned>(a.K)}, kThreads, sizeof(Tiles<kHead>), stream},
         attention_tensor_core<kHead>, a, k.view().data(), v.view().data());
}

}  // namespace

void run_tensor_core(const Stream& stream, const Attention& a) {
  if (a.H <= 32) return run<32>(stream, a);
  if (a.H <= 80) return run<80>(stream, a);  // SigLIP-So400m: 72
  if (a.H <= 128) return run<128>(stream, a);
  return run<kMostTensorCoreHeadSize>(stream, a);  // Gemma: 256
}

}  // namespace paligemma::cuda
