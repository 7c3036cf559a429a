// Appending to the KV cache on the CPU: one layer's keys. One token is decoding; 276 tokens are a
// 224-pixel picture with a short prompt. D = 256 is Gemma 2B's one head, D = 1024 are Gemma 2 2B's
// four.
#include <benchmark/benchmark.h>

#include "bench/support/copy.h"
#include "gemma/kv_cache.h"
#include "tests/support/data.h"

namespace paligemma {
namespace {

void kv_cache_append_reference(benchmark::State& state) {
  const Index T = state.range(0), D = state.range(1), H = 256;
  const auto rows = test::random<float, 3>({T, D / H, H}, 1);
  KvCache<Reference> cache(1, D / H, H);
  const SequenceId id = cache.open(512);
  const Index position = T == 1 ? 276 : 0;
  for (auto _ : state) {
    kv_cache_append(reference, rows.view(), position, cache.keys(id, 0));
    benchmark::ClobberMemory();
  }
  bench::count_bytes(state, 2 * T * D * 4);
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "D"})->ArgsProduct({{1, 276}, {256, 1024}})->Unit(benchmark::kMicrosecond);
}

BENCHMARK(bench::copy)->Name("kv_cache/copy/f32")->Apply(shapes);
BENCHMARK(kv_cache_append_reference)->Name("kv_cache/reference/f32")->Apply(shapes);

}  // namespace
}  // namespace paligemma
