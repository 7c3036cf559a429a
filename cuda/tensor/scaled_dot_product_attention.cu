#include "cuda/core/device.h"
#include "cuda/tensor/scaled_dot_product_attention.h"
#include "cuda/tensor/scaled_dot_product_attention/attention.h"

namespace paligemma::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kWarps = kThreads / kWarpSize;

// Kernel 1, block_per_query. A block owns a query of one head, and holds its row of scores in shared
// memory, as the reference does. A warp takes a key at a time, so that its lanes read neighbours; then
// a thread takes a column of the values, so that again a warp reads neighbours. Keys and values are
// read again for each of the T N queries.
__global__ void attention_block_per_query(Attention a) {
  __shared__ float partial_max[kWarps], partial_sum[kWarps];
  float* weight = dynamic_shared<float>();  // of key keys.begin + i
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize;
  const int t = static_cast<int>(blockIdx.x) / a.N, n = static_cast<int>(blockIdx.x) % a.N;
  const Index g = kv_head_of(n, a.N, a.K);
  const float* q = a.q.at(t, n);
  const KeyRange keys = a.keys_of(t);
  const int count = static_cast<int>(keys.end - keys.begin);

  float max = -INFINITY;
  for (int i = warp; i < count; i += kWarps) {
    const float* k = a.k.at(keys.begin + i, g);
    float dot = 0.0f;
    for (int h = lane; h < a.H; h += kWarpSize) dot += q[h] * k[h];
    const float score = a.score(warp_sum(dot)) + a.bias.at(t, n, keys.begin + i);
    if (lane == 0) weight[i] = score;
    max = fmaxf(max, score);
  }
  max = block_max(max, -INFINITY, partial_max);  // its barrier is also for the scores

  float sum = 0.0f;
  for (int i = threadIdx.x; i < count; i += kThreads) {
    weight[i] = expf(weight[i] - max);
    sum += weight[i];
  }
  sum = block_sum(sum, partial_sum);  // its barrier is also for the weights
  if (threadIdx.x == 0) a.show_log_sum_exp(t, n, max, sum);
  if (a.weights != nullptr) {
    float* const row = a.weights + (Index{t} * a.N + n) * a.S + keys.begin;
    for (int i = threadIdx.x; i < count; i += kThreads) row[i] = weight[i] / sum;
  }

  float* out = a.out.at(t, n);
  for (int h = threadIdx.x; h < a.H; h += kThreads) {
    float mean = 0.0f;
    for (int i = 0; i < count; ++i) mean += weight[i] * a.v.at(keys.begin + i, g)[h];
    out[h] = mean / sum;
  }
}

AttentionKernel best_for(const Stream& stream, const Attention& a) {
  if (a.weights != nullptr) return AttentionKernel::block_per_query;
  constexpr int kFewQueries = 4;  // from here tiles of them are worth more than spread keys
  if (a.T <= kFewQueries) return AttentionKernel::split_keys;
  if (stream.math() == Math::bf16 && a.H <= kMostTensorCoreHeadSize && !a.bias.any()) {
    return AttentionKernel::tensor_core;
  }
  const bool fits = a.H <= kMostOnlineHeadSize && online_shared_bytes(a.H) <= most_shared_bytes();
  return fits ? AttentionKernel::online : AttentionKernel::block_per_query;
}

}  // namespace

void scaled_dot_product_attention(const Stream& stream, DeviceView<const float, 3> q,
                                  DeviceView<const float, 3> k, DeviceView<const float, 3> v,
                                  DeviceView<const KeyRange, 1> visible, AttentionRule rule,
                                  DeviceView<float, 3> out, AttentionKernel kernel,
                                  const DistanceBias<Space::device>& bias,
                                  AttentionMaps<Space::device> maps) {
  const Index T = q.size(0), N = q.size(1), H = q.size(2), S = k.size(0), K = k.size(1);
  const std::string shapes = "q " + shape_text(q) + ", k " + shape_text(k) + ", v " + shape_text(v);
  PG_CHECK(k.size(2) == H && v.shape() == k.shape(), shapes);
  PG_CHECK(K > 0 && N % K == 0, shapes + ": each KV head serves the same number of query heads");
  PG_CHECK(out.shape() == q.shape(), shapes + ", out " + shape_text(out));
  PG_CHECK(q.stride()[2] == 1 && k.stride()[2] == 1 && v.stride()[2] == 1 && out.stride()[2] == 1,
           shapes + ": the numbers of a head must be contiguous");
  PG_CHECK(visible.size(0) == 0 || visible.size(0) == T,
           shapes + ", visible " + shape_text(visible));
  PG_CHECK(visible.stride()[0] == 1 || visible.size(0) == 0, "strided ranges");
  check_attention(bias, maps, T, N, S);
  if (out.count() == 0) return;
  PG_CHECK(S > 0, shapes + ": no keys");

  const Attention a{Heads(q),
                    Heads(k),
                    Heads(v),
                    Heads(out),
                    visible.size(0) > 0 ? visible.data() : nullptr,
                    rule,
                    static_cast<int>(T),
                    static_cast<int>(S),
                    static_cast<int>(N),
                    static_cast<int>(K),
                    static_cast<int>(H),
                    DistanceBiasOfKernel(bias),
                    maps.weights.data(),
                    maps.log_sum_exp.data()};
  if (kernel == AttentionKernel::best) kernel = best_for(stream, a);
  PG_CHECK(a.weights == nullptr || kernel == AttentionKernel::block_per_query,
           "this kernel keeps no weights");
  if (a.weights != nullptr) {
    fill_bytes(stream, a.weights, 0, static_cast<std::size_t>(T * N * S) * sizeof(float));
  }
  switch (kernel) {
    case AttentionKernel::block_per_query:
      return launch({blocks_for(T * N), kThreads, S * sizeof(float), stream},
                    attention_block_per_query, a);
    case AttentionKernel::online:
      PG_CHECK(H <= kMostOnlineHeadSize, shapes + ": heads too large for tiles");
      return run_online(stream, a);
    case AttentionKernel::tensor_core:
      PG_CHECK(H <= kMostTensorCoreHeadSize, shapes + ": heads too large for tensor cores");
      PG_CHECK(!a.bias.any(), "tensor cores know no bias");
      return run_tensor_core(stream, a);
    case AttentionKernel::split_keys:
      return run_split_keys(stream, a);
    case AttentionKernel::best:
      break;  // replaced above
  }
}

}  // namespace paligemma::cuda
