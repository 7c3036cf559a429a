#include "cuda/core/pack.h"
#include "cuda/core/scratch.h"
#include "cuda/tensor/scaled_dot_product_attention/attention.h"

namespace paligemma::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kKeys = 32;  // of a block; 8 lanes share one
constexpr int kHeads = 8;  // query heads of a block; a warp each
constexpr int kLanes = kThreads / kKeys;
static_assert(kHeads == kThreads / kWarpSize && kKeys == kWarpSize);

// What a block found among its keys, for query head n of query t.
struct Partial {
  float* mean;  // [T, N, blocks, H], times its sum
  float* max;   // [T, N, blocks], the largest score
  float* sum;   // [T, N, blocks], of exp(score - max)
  int blocks;   // as many as all S keys need

  PG_HOST_DEVICE Index at(const Attention& a, int t, int n, int block) const {
    return (Index{t} * a.N + n) * blocks + block;
  }
};

__device__ int blocks_with_keys(KeyRange keys) {
  return static_cast<int>(keys.end - keys.begin + kKeys - 1) / kKeys;
}

// Kernel 4, split_keys. With one query there is little to share and much to wait for, so the keys are
// spread: a block owns 32 keys of the visible ones, and up to 8 query heads that read them. Eight lanes
// own a key; then a warp owns a head's 32 scores, and a thread a column of the values. All that a
// thread needs of key and values is asked for before anything is computed, so that it waits for
// device memory once. With `kWide` 4, q and k are read by packs.
//
// Where the visible keys are is read from device memory, and blocks beyond them leave: the same launch
// serves a cache that grows.
template <int kWide>
__global__ void __launch_bounds__(kThreads) attention_split_keys(Attention a, Partial partial) {
  __shared__ float score[kHeads][kKeys], weight[kHeads][kKeys];
  const int thread = static_cast<int>(threadIdx.x);
  const int lane = thread % kWarpSize, warp = thread / kWarpSize;
  const int t = static_cast<int>(blockIdx.z), block = static_cast<int>(blockIdx.x);
  const int parts = (a.group() + kHeads - 1) / kHeads;  // of the query heads that share a head
  const int g = static_cast<int>(blockIdx.y) / parts;
  const int first_in_group = static_cast<int>(blockIdx.y) % parts * kHeads;
  const int heads = min(kHeads, a.group() - first_in_group);
  const int n = g * a.group() + first_in_group;

  const KeyRange keys = a.keys_of(t);
  if (block >= blocks_with_keys(keys)) return;  // the whole block
  const Index first = keys.begin + Index{block} * kKeys;
  const int count = static_cast<int>(min(Index{kKeys}, keys.end - first));

  // The lane's numbers of its key, from feature `begin` on.
  constexpr int kSteps = kThreads / kLanes / kWide;
  const int key = thread / kLanes;
  const auto feature = [=](int begin, int step) {
    return begin + (step * kLanes + thread % kLanes) * kWide;
  };
  Group<float, kWide> k[kSteps];
  const auto load_key = [&](int begin) {
#pragma unroll
    for (int i = 0; i < kSteps; ++i) {
      const int h = feature(begin, i);
      k[i] = {};
      if (key < count && h < a.H) k[i] = *as_groups<kWide>(a.k.at(first + key, g) + h);
    }
  };
  float v[kKeys];  // feature h of all the values
  const auto load_values = [&](int h) {
#pragma unroll
    for (int s = 0; s < kKeys; ++s) {
      v[s] = s < count && h < a.H ? a.v.at(first + s, g)[h] : 0.0f;
    }
  };
  load_key(0);
  load_values(thread);

  float dot[kHeads] = {};
  for (int begin = 0; begin < a.H; begin += kThreads) {
    if (begin > 0) load_key(begin);
#pragma unroll
    for (int j = 0; j < kHeads; ++j) {
      if (j >= heads) continue;
      const float* const q = a.q.at(t, n + j);
      Group<float, kWide> some[kSteps];
#pragma unroll
      for (int i = 0; i < kSteps; ++i) {  // without a branch, so that none waits for another
        const int h = feature(begin, i);
        some[i] = *as_groups<kWide>(q + (h < a.H ? h : 0));  // beyond H, k is 0
      }
#pragma unroll
      for (int i = 0; i < kSteps; ++i) {
        for (int w = 0; w < kWide; ++w) dot[j] += some[i].at[w] * k[i].at[w];
      }
    }
  }
#pragma unroll
  for (int j = 0; j < kHeads; ++j) {
    float bias = 0.0f;
    for (int offset = kLanes / 2; offset > 0; offset /= 2) {
      dot[j] += __shfl_xor_sync(kAllLanes, dot[j], offset);
    }
    if (a.bias.any() && j < heads) bias = a.bias.at(t, n + j, first + key);
    if (lane % kLanes == 0) score[j][key] = key < count ? a.score(dot[j]) + bias : -INFINITY;
  }
  __syncthreads();  // all keys' scores are there before a warp reads its head's

  const float max = warp_max(score[warp][lane]);
  const float w = expf(score[warp][lane] - max);
  weight[warp][lane] = w;
  const float sum = warp_sum(w);
  if (lane == 0 && warp < heads) {
    partial.max[partial.at(a, t, n + warp, block)] = max;
    partial.sum[partial.at(a, t, n + warp, block)] = sum;
  }
  __syncthreads();  // all heads' weights are there before they meet the values

  for (int h = thread; h < a.H; h += kThreads) {
    if (h >= kThreads) load_values(h);
    for (int j = 0; j < heads; ++j) {
      float mean = 0.0f;
#pragma unroll
      for (int s = 0; s < kKeys; ++s) mean += weight[j][s] * v[s];
      partial.mean[partial.at(a, t, n + j, block) * a.H + h] = mean;
    }
  }
}

// A block owns query head n of query t, a thread a feature. The blocks' results are scaled by
// exp(max - largest max), which a lane knows for one of 32 blocks, and added in the order of the keys:
// the same bits in every run.
__global__ void attention_combine(Attention a, Partial partial) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int t = static_cast<int>(blockIdx.x) / a.N, n = static_cast<int>(blockIdx.x) % a.N;
  const int blocks = blocks_with_keys(a.keys_of(t));
  const Index at = partial.at(a, t, n, 0);

  float max = -INFINITY;
  for (int b = lane; b < blocks; b += kWarpSize) max = fmaxf(max, partial.max[at + b]);
  max = warp_max(max);

  for (int first_h = 0; first_h < a.H; first_h += kThreads) {
    const int h = first_h + static_cast<int>(threadIdx.x);
    float sum = 0.0f, mean = 0.0f;
    for (int first = 0; first < blocks; first += kWarpSize) {
      const int b = first + lane;
      const float by = b < blocks ? expf(partial.max[at + b] - max) : 0.0f;
      if (b < blocks) sum += by * partial.sum[at + b];
      const int count = min(kWarpSize, blocks - first);
#pragma unroll 8
      for (int i = 0; i < count; ++i) {
        const float rescale = __shfl_sync(kAllLanes, by, i);
        if (h < a.H) mean += rescale * partial.mean[(at + first + i) * a.H + h];
      }
    }
    sum = warp_sum(sum);
    if (h < a.H) a.out.at(t, n)[h] = mean / sum;
    if (h == 0) a.show_log_sum_exp(t, n, max, sum);
  }
}

// Whether every head stands at a multiple of 16 bytes.
bool is_packable(const Heads<const float>& heads, int H) {
  constexpr int kPack = Pack<float>::kSize;
  return H % kPack == 0 && heads.row_stride % kPack == 0 && heads.head_stride % kPack == 0 &&
         is_aligned(heads.data);
}

}  // namespace

void run_split_keys(const Stream& stream, const Attention& a) {
  const unsigned blocks = blocks_for(a.S, kKeys);
  const Scratch<float, 4> mean(stream, {a.T, a.N, blocks, a.H});
  const Scratch<float, 3> max(stream, {a.T, a.N, blocks}), sum(stream, {a.T, a.N, blocks});
  const Partial partial{mean.view().data(), max.view().data(), sum.view().data(),
                        static_cast<int>(blocks)};
  const unsigned parts = blocks_for(a.group(), kHeads);
  const dim3 grid(blocks, static_cast<unsigned>(a.K) * parts, static_cast<unsigned>(a.T));
  const bool packable = is_packable(a.q, a.H) && is_packable(a.k, a.H);
  launch({grid, kThreads, 0, stream},
         packable ? attention_split_keys<Pack<float>::kSize> : attention_split_keys<1>, a, partial);
  launch({blocks_for(Index{a.T} * a.N), kThreads, 0, stream}, attention_combine, a, partial);
}

}  // namespace paligemma::cuda
