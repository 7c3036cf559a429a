// RoPE on the CPU, of Gemma 2B's eight query heads of 256. One token is decoding; 276 tokens are a
// 224-pixel picture with a short prompt.
#include <benchmark/benchmark.h>

#include "bench/support/copy.h"
#include "fast/gemma/rope.h"
#include "gemma/rope.h"
#include "tests/support/data.h"

namespace paligemma {
namespace {

template <class On>
void rope_by(benchmark::State& state) {
  const Index T = state.range(0), D = state.range(1), H = 256;
  auto x = test::random<float, 3>({T, D / H, H}, 1);
  const On on;
  for (auto _ : state) {
    rope(on, 276, 10000.0f, x.view());
    benchmark::ClobberMemory();
  }
  bench::count_bytes(state, 2 * T * D * 4);
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "D"})
      ->Args({1, 2048})
      ->Args({276, 2048})
      ->Unit(benchmark::kMicrosecond)
      ->UseRealTime();
}

BENCHMARK(bench::copy)->Name("rope/copy/f32")->Apply(shapes);
BENCHMARK(rope_by<Reference>)->Name("rope/reference/f32")->Apply(shapes);
BENCHMARK(rope_by<Fast>)->Name("rope/fast/f32")->Apply(shapes);

}  // namespace
}  // namespace paligemma
