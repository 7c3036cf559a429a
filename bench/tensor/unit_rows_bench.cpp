// Unit rows on the CPU: the eight heads of PalmE's queries, of one token and of 64.
#include <benchmark/benchmark.h>

#include "bench/support/copy.h"
#include "tensor/unit_rows.h"
#include "tests/support/data.h"

namespace paligemma {
namespace {

template <class On>
void unit_rows_by(benchmark::State& state) {
  const Index T = state.range(0), D = state.range(1);
  const auto x = test::random<float, 2>({T, D}, 1);
  const View<const float, 1> no_scale;
  Buffer<float, 2> y({T, D});
  const On on;
  for (auto _ : state) {
    unit_rows(on, x.view(), {.groups = D / 64}, no_scale, y.view());
    benchmark::ClobberMemory();
  }
  bench::count_bytes(state, 2 * T * D * 4);
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "D"})
      ->Args({1, 512})
      ->Args({64, 512})
      ->Unit(benchmark::kMicrosecond)
      ->UseRealTime();
}

BENCHMARK(bench::copy)->Name("unit_rows/copy/f32")->Apply(shapes);
BENCHMARK(unit_rows_by<Reference>)->Name("unit_rows/reference/f32")->Apply(shapes);

}  // namespace
}  // namespace paligemma
