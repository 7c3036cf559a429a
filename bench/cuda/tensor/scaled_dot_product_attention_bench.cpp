// Attention on the GPU: a decoded token of Gemma 2B behind 300 keys, a 224-pixel picture with a short
// prompt, and SigLIP's patches. For many queries the yardstick is twice cuBLASLt's product of queries
// and keys, without a softmax between.
#include <cmath>

#include "bench/support/cublaslt.h"
#include "bench/support/cuda_bench.h"
#include "cuda/tensor/scaled_dot_product_attention.h"

namespace paligemma {
namespace {

using cuda::AttentionKernel;

void run(benchmark::State& state, AttentionKernel kernel) {
  const Index T = state.range(0), S = state.range(1), N = state.range(2), K = state.range(3),
              H = state.range(4);
  const cuda::Stream stream;
  const auto q = bench::random<float, 3>(stream, {T, N, H}, 1);
  const auto k = bench::random<float, 3>(stream, {S, K, H}, 2);
  const auto v = bench::random<float, 3>(stream, {S, K, H}, 3);
  Buffer<KeyRange, 1> visible({T});  // the prefix: every query sees every key
  for (Index t = 0; t < T; ++t) visible.view()(t) = {0, S};
  const auto visible_there = to_device(stream, visible.view());
  cuda::DeviceBuffer<float, 3> out({T, N, H});
  bench::Work work{
      .read_bytes = (T * N + 2 * S * K) * H * 4,
      .write_bytes = T * N * H * 4,
      .flop = 4.0 * static_cast<double>(T * N) * static_cast<double>(S * H),
  };
  if (T > 1) work.yardstick = 2 * bench::product_yardstick(stream, T * N, H, S);
  if (work.yardstick > 0) work.yardstick_name = "cuBLASLt, twice";
  const AttentionRule rule{.scale = 1.0f / std::sqrt(static_cast<float>(H))};
  bench::measure(state, stream, work, [&](Index) {
    scaled_dot_product_attention(stream, q.view(), k.view(), v.view(),
                                 std::as_const(visible_there).view(), rule, out.view(), kernel);
  });
}

void decode(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "S", "N", "K", "H"})->Args({1, 300, 8, 1, 256});
}
void prefill(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "S", "N", "K", "H"})->Args({276, 276, 8, 1, 256})->Args({256, 256, 16, 16, 72});
}

}  // namespace

void bench::list_benchmarks() {
  const std::string piece = "scaled_dot_product_attention/";
  add(piece + "block_per_query/f32", run, AttentionKernel::block_per_query)->Apply(decode);
  add(piece + "online/f32", run, AttentionKernel::online)->Apply(decode);
  add(piece + "split_keys/f32", run, AttentionKernel::split_keys)->Apply(decode);
  add(piece + "block_per_query/f32", run, AttentionKernel::block_per_query)->Apply(prefill);
  add(piece + "online/f32", run, AttentionKernel::online)->Apply(prefill);
  add(piece + "tensor_core/f32", run, AttentionKernel::tensor_core)->Apply(prefill);
}

}  // namespace paligemma
