// Patch rows on the CPU: PalmE's picture of 256 pixels in patches of 32, and the board's of 48 in patches
// of 8. Every pixel is read once and written once, so a copy of the same bytes stands beside them.
#include <benchmark/benchmark.h>

#include "bench/support/copy.h"
#include "tests/support/data.h"
#include "zeta/patch_rows.h"

namespace paligemma {
namespace {

template <class On>
void patch_rows_by(benchmark::State& state) {
  const Index L = state.range(0), side = L == 64 ? 8 : 6, P = L == 64 ? 32 : 8;
  const auto pixels = test::random<float, 3>({side * P, side * P, 3}, 1);
  Buffer<float, 2> y({L, state.range(1)});
  const On on;
  for (auto _ : state) {
    patch_rows(on, pixels.view(), P, y.view());
    benchmark::ClobberMemory();
  }
  bench::count_bytes(state, 2 * y.view().count() * 4);
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"L", "D"})
      ->Args({36, 192})
      ->Args({64, 3072})
      ->Unit(benchmark::kMicrosecond)
      ->UseRealTime();
}

BENCHMARK(bench::copy)->Name("patch_rows/copy/f32")->Apply(shapes);
BENCHMARK(patch_rows_by<Reference>)->Name("patch_rows/reference/f32")->Apply(shapes);

}  // namespace
}  // namespace paligemma
