// The residual add on the CPU. One token is decoding; 276 tokens is a 224-pixel picture with a
// short prompt. It reads two numbers and writes one, where the copy reads one and writes one.
#include <benchmark/benchmark.h>

#include "bench/support/copy.h"
#include "fast/tensor/residual_add.h"
#include "tensor/residual_add.h"
#include "tests/support/data.h"

namespace paligemma {
namespace {

template <class On>
void residual_add_by(benchmark::State& state) {
  const Index T = state.range(0), D = state.range(1);
  const auto branch = test::random<float, 2>({T, D}, 1);
  auto x = test::random<float, 2>({T, D}, 2);
  const On on;
  for (auto _ : state) {
    residual_add(on, branch.view(), x.view());
    benchmark::ClobberMemory();
  }
  bench::count_bytes(state, 3 * T * D * 4);
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "D"})
      ->Args({1, 2048})
      ->Args({276, 2048})
      ->Unit(benchmark::kMicrosecond)
      ->UseRealTime();
}

BENCHMARK(bench::copy)->Name("residual_add/copy/f32")->Apply(shapes);
BENCHMARK(residual_add_by<Reference>)->Name("residual_add/reference/f32")->Apply(shapes);
BENCHMARK(residual_add_by<Fast>)->Name("residual_add/fast/f32")->Apply(shapes);

}  // namespace
}  // namespace paligemma
