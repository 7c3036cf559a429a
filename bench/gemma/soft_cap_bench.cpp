// The soft cap on the CPU. One row of a published vocabulary is what a generated token of Gemma 2
// needs.
#include <benchmark/benchmark.h>

#include "bench/support/copy.h"
#include "fast/gemma/soft_cap.h"
#include "gemma/soft_cap.h"
#include "tests/support/data.h"

namespace paligemma {
namespace {

// Capped again and again, the numbers stay within the cap, where tanh costs what it costs.
template <class On>
void soft_cap_by(benchmark::State& state) {
  const Index T = state.range(0), V = state.range(1);
  auto x = test::random<float, 2>({T, V}, 1);
  const On on;
  for (auto _ : state) {
    soft_cap(on, 30, x.view());
    benchmark::ClobberMemory();
  }
  bench::count_bytes(state, 2 * T * V * 4);
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "V"})
      ->Args({1, 1856})
      ->Args({1, 257216})
      ->Unit(benchmark::kMicrosecond)
      ->UseRealTime();
}

BENCHMARK(bench::copy)->Name("soft_cap/copy/f32")->Apply(shapes);
BENCHMARK(soft_cap_by<Reference>)->Name("soft_cap/reference/f32")->Apply(shapes);
BENCHMARK(soft_cap_by<Fast>)->Name("soft_cap/fast/f32")->Apply(shapes);

}  // namespace
}  // namespace paligemma
