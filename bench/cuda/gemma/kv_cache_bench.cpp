// Appending to the KV cache on the GPU, of Gemma 2B: one head of 256. One token is decoding, whose
// position stands in device memory; 276 tokens are a 224-pixel picture with a short prompt.
#include "bench/support/cuda_bench.h"
#include "cuda/gemma/kv_cache.h"

namespace paligemma {
namespace {

using cuda::KvCacheAppendKernel;

void run(benchmark::State& state, KvCacheAppendKernel kernel) {
  constexpr Index K = 1, H = 256, kCapacity = 512;
  const Index T = state.range(0);
  const cuda::Stream stream;
  const auto rows = bench::random<float, 3>(stream, {T, K, H}, 1);
  cuda::DeviceBuffer<float, 3> cache({kCapacity, K, H});
  Buffer<Index, 1> position({1});
  position.view()(0) = 0;
  const auto position_there = to_device(stream, position.view());
  bench::measure(state, stream, {.read_bytes = T * K * H * 4, .write_bytes = T * K * H * 4},
                 [&](Index) {
                   kv_cache_append(stream, rows.view(), std::as_const(position_there).view(),
                                   cache.view(), kernel);
                 });
}

constexpr std::pair<const char*, KvCacheAppendKernel> kKernels[] = {
    {"thread_per_number", KvCacheAppendKernel::thread_per_number},
    {"thread_per_pack", KvCacheAppendKernel::thread_per_pack},
};

}  // namespace

void bench::list_benchmarks() {
  for (const auto& [name, kernel] : kKernels) {
    add(std::string("kv_cache/") + name + "/f32", run, kernel)
        ->ArgNames({"T"})
        ->Args({1})
        ->Args({276});
  }
}

}  // namespace paligemma
