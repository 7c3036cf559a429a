#include <algorithm>
#include <initializer_list>

#include "cuda/core/pack.h"
#include "cuda/core/row_dots.h"
#include "cuda/gemma/decoder_block.h"
#include "cuda/gemma/rope/frequency.h"

namespace paligemma::cuda {
namespace {

// All blocks of a kernel read the same x, so there are no more of them than run at once, and the warps of
// a block walk over the rows of weights. Few rows: small blocks, eight to a multiprocessor, so that
// each of these gets its share. Many rows: as few blocks as fill the GPU.
constexpr int kQkvThreads = 128, kQkvBlocksEach = 8;
constexpr int kGateUpThreads = 512, kGateUpBlocksEach = 2;

// The first rows that a warp will read start on their way to L2 while x, which the kernel before has
// only just written, is still being looked at.
template <class Weight>
__device__ void prefetch_row(const Weight* row, int D) {
  constexpr int kLine = 128 / sizeof(Weight);
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
#pragma unroll 1
  for (int i = lane * kLine; i < D; i += kWarpSize * kLine) prefetch_l2(row + i);
}

// row = x (offset + scale), in shared memory, by the whole block; returns 1 / rms(x). What RMSNorm
// divides by is the same for all of x, so it can as well divide the sums that are made of row: x is
// read once, and the only barrier, block_sum's, stands behind the sum of squares and the row alike.
template <bool Packed, int Warps, class Weight>
__device__ float scaled_row(const float* x, const Weight* scale, RmsNormRule rule, int D,
                            float* row, float (&partial)[Warps]) {
  constexpr int kEach = Packed ? Pack<float>::kSize : 1;
  float sum_sq = 0.0f;
  for (int i = threadIdx.x; i < D / kEach; i += Warps * kWarpSize) {
    Group<float, kEach> numbers = as_groups<kEach>(x)[i];
    const Group<Weight, kEach> gains = as_groups<kEach>(scale)[i];
    for (int k = 0; k < kEach; ++k) {
      sum_sq += numbers.at[k] * numbers.at[k];
      numbers.at[k] *= rule.offset + widen(gains.at[k]);
    }
    reinterpret_cast<Group<float, kEach>*>(row)[i] = numbers;
  }
  return rsqrtf(block_sum(sum_sq, partial) / static_cast<float>(D) + rule.eps);
}

template <class Weight>
struct Qkv {
  const Weight *q, *k, *v;  // rows of D
  int N, K, H;
};

// Kernel 1. A warp owns rows j and j + H/2 of a head of q, k or v: the two numbers that RoPE turns.
// It has both in registers when it turns them, and stores them where they belong, k and v in the cache:
// nothing is stored only to be read, turned and copied. Heads are numbered q first, then k, then v.
template <bool Packed, class Weight>
__global__ void __launch_bounds__(kQkvThreads, kQkvBlocksEach)
    norm_qkv_rope_append_warp_per_pair(const float* x, const Weight* scale, RmsNormRule rule,
                                       Qkv<Weight> w, float theta, const Index* position, float* q,
                                       float* keys, float* values, Index capacity, int D) {
  constexpr int kWarps = kQkvThreads / kWarpSize;
  __shared__ float partial[kWarps];
  float* row = dynamic_shared<Pack<float>>()->at;
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int first =
      static_cast<int>(blockIdx.x) * kWarps + static_cast<int>(threadIdx.x) / kWarpSize;
  const int half = w.H / 2, pairs = (w.N + 2 * w.K) * half;
  const auto weights_of = [&](int pair) {
    const int head = pair / half;
    const Weight* of = head < w.N ? w.q : head < w.N + w.K ? w.k : w.v;
    const int index = head < w.N ? head : (head - w.N) % w.K;
    return of + (Index{index} * w.H + pair % half) * D;
  };

  if (first < pairs) {
    prefetch_row(weights_of(first), D);
    prefetch_row(weights_of(first) + Index{half} * D, D);
  }
  const Index p = *position;  // early: it is far away
  const float inv_rms = scaled_row<Packed>(x, scale, rule, D, row, partial);

  for (int pair = first; pair < pairs; pair += static_cast<int>(gridDim.x) * kWarps) {
    const int head = pair / half, j = pair % half;
    const bool is_v = head >= w.N + w.K;
    float cos = 1.0f, sin = 0.0f;
    if (!is_v) {
      // The power takes longer than anything else here, so it is computed once per pair, by all lanes
      // alike, while the first weights come.
      const float angle = static_cast<float>(p) * frequency_of(j, w.H, theta);
      cos = cosf(angle);
      sin = sinf(angle);
    }

    const Weight* const lower_row = weights_of(pair);
    const Weight* const rows[] = {lower_row, lower_row + Index{half} * D};
    float sum[2];
    row_dots<Packed>(rows, row, D, sum);

    if (lane != 0 || (head >= w.N && (p < 0 || p >= capacity))) continue;
    float* const kept = is_v ? values : keys;
    float* to = head < w.N ? q + head * w.H : kept + (p * w.K + (head - w.N) % w.K) * w.H;
    const float lower = sum[0] * inv_rms, upper = sum[1] * inv_rms;
    to[j] = lower * cos - upper * sin;
    to[j + half] = upper * cos + lower * sin;
  }
}

// Kernel 2. A warp owns feature f: row f of gate and of up. Both products are in its registers when
// it closes the gate: one number is stored where two were stored and read again.
template <bool Packed, class Weight>
__global__ void __launch_bounds__(kGateUpThreads, kGateUpBlocksEach)
    norm_gate_up_geglu_warp_per_feature(const float* x, const Weight* scale, RmsNormRule rule,
                                        const Weight* gate, const Weight* up, GeluForm form,
                                        float* y, int F, int D) {
  constexpr int kWarps = kGateUpThreads / kWarpSize;
  __shared__ float partial[kWarps];
  float* row = dynamic_shared<Pack<float>>()->at;
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int first =
      static_cast<int>(blockIdx.x) * kWarps + static_cast<int>(threadIdx.x) / kWarpSize;

  if (first < F) {
    prefetch_row(gate + Index{first} * D, D);
    prefetch_row(up + Index{first} * D, D);
  }
  const float inv_rms = scaled_row<Packed>(x, scale, rule, D, row, partial);

  for (int f = first; f < F; f += static_cast<int>(gridDim.x) * kWarps) {
    const Weight* const rows[] = {gate + Index{f} * D, up + Index{f} * D};
    float sum[2];
    row_dots<Packed>(rows, row, D, sum);
    if (lane == 0) y[f] = gelu(form, sum[0] * inv_rms) * (sum[1] * inv_rms);
  }
}

// Whether rows of D weights, x and the gains can be read 16 bytes at a time.
template <class Weight>
bool is_packable(int D, DeviceView<const float, 2> x, DeviceView<const Weight, 1> scale,
                 std::initializer_list<DeviceView<const Weight, 2>> matrices) {
  bool all = D % Pack<Weight>::kSize == 0 && is_aligned(x.data()) && is_aligned(scale.data());
  for (const auto& matrix : matrices) all = all && is_aligned(matrix.data());
  return all;
}

// Enough blocks for a warp for each of n things, but at most `each` on a multiprocessor.
unsigned blocks_of_warps(Index n, int threads, int each) {
  return std::min(blocks_for(n, threads / kWarpSize),
                  static_cast<unsigned>(each * multiprocessors()));
}

std::size_t shared_bytes_for(int D) {
  return static_cast<std::size_t>(blocks_for(D, Pack<float>::kSize)) * sizeof(Pack<float>);
}

template <class Weight>
void check_norm(DeviceView<const float, 2> x, DeviceView<const Weight, 1> scale) {
  PG_CHECK(x.size(0) == 1 && x.size(1) > 0, "x " + shape_text(x) + " is not one token");
  PG_CHECK(scale.size(0) == x.size(1), "x " + shape_text(x) + ", scale " + shape_text(scale));
  PG_CHECK(x.is_row_major() && scale.is_row_major(), "strided view");
}

}  // namespace

template <class Weight>
void norm_qkv_rope_append(const Stream& stream, DeviceView<const float, 2> x,
                          DeviceView<const Weight, 1> scale, RmsNormRule rule,
                          DeviceView<const Weight, 2> wq, DeviceView<const Weight, 2> wk,
                          DeviceView<const Weight, 2> wv, float theta,
                          DeviceView<const Index, 1> position, DeviceView<float, 2> q,
                          DeviceView<float, 3> keys, DeviceView<float, 3> values) {
  check_norm(x, scale);
  const int D = static_cast<int>(x.size(1));
  const int K = static_cast<int>(keys.size(1)), H = static_cast<int>(keys.size(2));
  PG_CHECK(H > 0 && H % 2 == 0, "keys " + shape_text(keys) + ": the head size must be even");
  PG_CHECK(values.shape() == keys.shape(),
           "keys " + shape_text(keys) + ", values " + shape_text(values));
  PG_CHECK(wq.size(0) % H == 0 && wq.size(1) == D, "wq " + shape_text(wq));
  PG_CHECK(wk.size(0) == K * H && wk.size(1) == D, "wk " + shape_text(wk));
  PG_CHECK(wv.shape() == wk.shape(), "wk " + shape_text(wk) + ", wv " + shape_text(wv));
  PG_CHECK(q.size(0) == 1 && q.size(1) == wq.size(0),
           "wq " + shape_text(wq) + ", q " + shape_text(q));
  PG_CHECK(position.size(0) == 1, "position " + shape_text(position));
  PG_CHECK(wq.is_row_major() && wk.is_row_major() && wv.is_row_major() && q.is_row_major() &&
               keys.is_row_major() && values.is_row_major(),
           "strided view");

  const int N = static_cast<int>(wq.size(0)) / H;
  const Index pairs = Index{N + 2 * K} * (H / 2);
  if (pairs == 0) return;
  const auto kernel = is_packable(D, x, scale, {wq, wk, wv})
                          ? norm_qkv_rope_append_warp_per_pair<true, Weight>
                          : norm_qkv_rope_append_warp_per_pair<false, Weight>;
  const unsigned blocks = blocks_of_warps(pairs, kQkvThreads, kQkvBlocksEach);
  launch({blocks, kQkvThreads, shared_bytes_for(D), stream}, kernel, x.data(), scale.data(), rule,
         Qkv<Weight>{wq.data(), wk.data(), wv.data(), N, K, H}, theta, position.data(), q.data(),
         keys.data(), values.data(), keys.size(0), D);
}

template <class Weight>
void norm_gate_up_geglu(const Stream& stream, DeviceView<const float, 2> x,
                        DeviceView<const Weight, 1> scale, RmsNormRule rule,
                        DeviceView<const Weight, 2> gate, DeviceView<const Weight, 2> up,
                        GeluForm form, DeviceView<float, 2> y) {
  check_norm(x, scale);
  const int D = static_cast<int>(x.size(1)), F = static_cast<int>(gate.size(0));
  PG_CHECK(gate.size(1) == D && up.shape() == gate.shape(),
           "x " + shape_text(x) + ", gate " + shape_text(gate) + ", up " + shape_text(up));
  PG_CHECK(y.size(0) == 1 && y.size(1) == F, "gate " + shape_text(gate) + ", y " + shape_text(y));
  PG_CHECK(gate.is_row_major() && up.is_row_major() && y.is_row_major(), "strided view");
  if (F == 0) return;

  const auto kernel = is_packable(D, x, scale, {gate, up})
                          ? norm_gate_up_geglu_warp_per_feature<true, Weight>
                          : norm_gate_up_geglu_warp_per_feature<false, Weight>;
  const unsigned blocks = blocks_of_warps(F, kGateUpThreads, kGateUpBlocksEach);
  launch({blocks, kGateUpThreads, shared_bytes_for(D), stream}, kernel, x.data(), scale.data(),
         rule, gate.data(), up.data(), form, y.data(), F, D);
}

#define PG_FOR_WEIGHT(Weight)                                                                \
  template void norm_qkv_rope_append(                                                        \
      const Stream&, DeviceView<const float, 2>, DeviceView<const Weight, 1>, RmsNormRule,   \
      DeviceView<const Weight, 2>, DeviceView<const Weight, 2>, DeviceView<const Weight, 2>, \
      float, DeviceView<const Index, 1>, DeviceView<float, 2>, DeviceView<float, 3>,         \
      DeviceView<float, 3>);                                                                 \
  template void norm_gate_up_geglu(                                                          \
      const Stream&, DeviceView<const float, 2>, DeviceView<const Weight, 1>, RmsNormRule,   \
      DeviceView<const Weight, 2>, DeviceView<const Weight, 2>, GeluForm, DeviceView<float, 2>);
PG_FOR_WEIGHT(float)
PG_FOR_WEIGHT(bf16)
PG_FOR_WEIGHT(f16)
#undef PG_FOR_WEIGHT

}  // namespace paligemma::cuda
