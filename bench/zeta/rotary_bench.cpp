// Rotary positions with xPos on the CPU: the first 32 features of PalmE's eight heads, of one token and of
// 1024. A copy of what is turned stands beside them.
#include <benchmark/benchmark.h>

#include "bench/support/copy.h"
#include "tests/support/data.h"
#include "zeta/rotary.h"

namespace paligemma {
namespace {

template <class On>
void rotary_by(benchmark::State& state) {
  const Index T = state.range(0), D = state.range(1), H = 64, R = 32;
  auto heads = test::random<float, 3>({T, D / R, H}, 1);
  const View<float, 3> x(heads.view().data(), {T, D / R, R}, heads.view().stride());
  const RotaryRule rule{.xpos_scale_base = 512, .xpos_centre = T / 2};
  const On on;
  Turn turn = Turn::query;
  for (auto _ : state) {
    rotary(on, 0, rule, turn, x);
    turn = turn == Turn::query ? Turn::key : Turn::query;  // which undo each other
    benchmark::ClobberMemory();
  }
  bench::count_bytes(state, 2 * T * D * 4);
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "D"})
      ->Args({1, 256})
      ->Args({1024, 256})
      ->Unit(benchmark::kMicrosecond)
      ->UseRealTime();
}

BENCHMARK(bench::copy)->Name("rotary/copy/f32")->Apply(shapes);
BENCHMARK(rotary_by<Reference>)->Name("rotary/reference/f32")->Apply(shapes);

}  // namespace
}  // namespace paligemma
