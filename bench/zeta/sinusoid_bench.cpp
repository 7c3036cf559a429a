// Sinusoidal positions on the CPU: one token of width 512, and 1024. What is added to is read and written;
// a copy of it stands beside.
#include <benchmark/benchmark.h>

#include <numeric>

#include "bench/support/copy.h"
#include "tests/support/data.h"
#include "zeta/sinusoid.h"

namespace paligemma {
namespace {

template <class On>
void sinusoid_by(benchmark::State& state) {
  const Index T = state.range(0), D = state.range(1);
  Buffer<int, 1> positions({T});
  std::iota(positions.view().data(), positions.view().data() + T, 0);
  Buffer<float, 2> y({T, D});
  const On on;
  for (auto _ : state) {
    sinusoid(on, View<const int, 1>(positions.view()), 0.04f, y.view());
    benchmark::ClobberMemory();
  }
  bench::count_bytes(state, 2 * T * D * 4);
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "D"})
      ->Args({1, 512})
      ->Args({1024, 512})
      ->Unit(benchmark::kMicrosecond)
      ->UseRealTime();
}

BENCHMARK(bench::copy)->Name("sinusoid/copy/f32")->Apply(shapes);
BENCHMARK(sinusoid_by<Reference>)->Name("sinusoid/reference/f32")->Apply(shapes);

}  // namespace
}  // namespace paligemma
