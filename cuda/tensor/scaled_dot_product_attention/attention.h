// What the kernels of attention share. Included by kernels only.
#pragma once

#include "cuda/core/block_reduce.h"
#include "tensor/scaled_dot_product_attention.h"

namespace paligemma::cuda {

// Heads of H contiguous numbers, anywhere.
template <class Number>
struct Heads {
  Number* data;
  Index row_stride, head_stride;

  explicit Heads(DeviceView<Number, 3> v)
      : data(v.data()), row_stride(v.stride()[0]), head_stride(v.stride()[1]) {}

  PG_HOST_DEVICE Number* at(Index row, Index head) const {
    return data + row * row_stride + head * head_stride;
  }
};

struct Attention {
  Heads<const float> q, k, v;
  Heads<float> out;
  const KeyRange* visible;  // null if every query sees every key
  AttentionRule rule;
  int T, S, N, K, H;
  DistanceBiasOfKernel bias;
  float* weights;      // [T, N, S], zeros so far; or null
  float* log_sum_exp;  // [T, N], or null

  // How many query heads share a head of keys and values.
  PG_HOST_DEVICE int group() const { return N / K; }
  PG_HOST_DEVICE KeyRange keys_of(int t) const {
    return visible != nullptr ? visible[t] : KeyRange{0, S};
  }
  // The score of a query and a key whose inner product is `dot`, without a bias.
  PG_HOST_DEVICE float score(float dot) const {
    const float score = rule.scale * dot;
    return rule.soft_cap == kNoSoftCap ? score : soft_capped(score, rule.soft_cap);
  }
  PG_HOST_DEVICE void show_log_sum_exp(int t, int n, float max, float sum) const {
    if (log_sum_exp != nullptr) log_sum_exp[Index{t} * N + n] = max + logf(sum);
  }
};

PG_HOST_DEVICE constexpr bool contains(KeyRange keys, Index s) {
  return keys.begin <= s && s < keys.end;
}

// One query of all that read the same head of keys and values: they are counted as
// t * group + (its head in the group), so that neighbours see almost the same keys.
struct Row {
  int t, n;
  KeyRange keys;  // empty beyond the last row

  PG_HOST_DEVICE Row(const Attention& a, int row, int kv_head)
      : t(row / a.group()),
        n(kv_head * a.group() + row % a.group()),
        keys(t < a.T ? a.keys_of(t) : KeyRange{0, 0}) {}
};

// The keys from the first to the last that any lane's row sees. All 32 lanes must call it.
__device__ inline KeyRange keys_of_warp(KeyRange keys) {
  int begin = keys.begin < keys.end ? static_cast<int>(keys.begin) : 0x7fff'ffff;
  int end = static_cast<int>(keys.end);
  for (int offset = kWarpSize / 2; offset > 0; offset /= 2) {
    begin = min(begin, __shfl_xor_sync(kAllLanes, begin, offset));
    end = max(end, __shfl_xor_sync(kAllLanes, end, offset));
  }
  return {begin, end};
}

// One file each.
void run_online(const Stream& stream, const Attention& a);
void run_tensor_core(const Stream& stream, const Attention& a);
void run_split_keys(const Stream& stream, const Attention& a);

inline constexpr int kMostOnlineHeadSize = 400;      // four tiles of 32 rows fill shared memory
std::size_t online_shared_bytes(int H);              // on Hopper; others have less
inline constexpr int kMostTensorCoreHeadSize = 256;  // the sums of 16 rows fill the registers

}  // namespace paligemma::cuda
