// repeat_kv on the CPU: what attention saves by reading shared heads where they are. 276 keys are
// a 224-pixel picture with a short prompt; eight query heads of 256. D = 256 keys' features are
// Gemma 2B's single head, D = 1024 are Gemma 2 2B's four.
#include <benchmark/benchmark.h>

#include "bench/support/copy.h"
#include "gemma/repeat_kv.h"
#include "tests/support/data.h"

namespace paligemma {
namespace {

void repeat_kv_reference(benchmark::State& state) {
  const Index S = state.range(0), D = state.range(1), H = 256, N = 8;
  const auto x = test::random<float, 3>({S, D / H, H}, 1);
  Buffer<float, 3> y({S, N, H});
  for (auto _ : state) {
    repeat_kv(reference, x.view(), y.view());
    benchmark::ClobberMemory();
  }
  bench::count_bytes(state, S * (D + N * H) * 4);
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "D"})->Args({276, 256})->Args({276, 1024})->Unit(benchmark::kMicrosecond);
}

BENCHMARK(bench::copy)->Name("repeat_kv/copy/f32")->Apply(shapes);
BENCHMARK(repeat_kv_reference)->Name("repeat_kv/reference/f32")->Apply(shapes);

}  // namespace
}  // namespace paligemma
