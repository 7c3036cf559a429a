// MaxSim on the CPU: a query of 24 rows and pages as ColPali makes them. A hundred pages are larger than most caches;
// an index is larger than all of them.
#include <benchmark/benchmark.h>

#include "bench/support/copy.h"
#include "fast/colpali/max_sim.h"
#include "tests/support/pages.h"

namespace paligemma {
namespace {

constexpr Index kRows = 1030, kWidth = 128;

template <class On, class Row>
void max_sim_by(benchmark::State& state) {
  const Index T = state.range(0), P = state.range(1), R = P * kRows;
  const auto q = test::unit_rows_of<float>(T, kWidth, 1);
  const auto rows = test::unit_rows_of<Row>(R, kWidth, 2);
  Buffer<Index, 1> first({P + 1});
  for (Index p = 0; p <= P; ++p) first.view()(p) = p * kRows;
  Buffer<float, 1> scores({P});
  const On on;
  for (auto _ : state) {
    max_sim(on, q.view(), rows.view(), first.view(), scores.view());
    benchmark::ClobberMemory();
  }
  bench::count_bytes(state, R * kWidth * static_cast<Index>(sizeof(Row)));
  bench::count_flops(state, 2.0 * static_cast<double>(T) * static_cast<double>(R * kWidth),
                     std::is_same_v<Row, bf16> ? &Limits::bf16 : &Limits::f32);
}

// The yardstick of one row: the pages, copied.
template <class Row>
void copy_of_the_pages(benchmark::State& state) {
  const auto rows = test::unit_rows_of<Row>(state.range(1) * kRows, kWidth, 2);
  bench::copy_all<Row, 2>(state, rows.view());
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "P"})
      ->Args({1, 100})
      ->Args({24, 100})
      ->Unit(benchmark::kMicrosecond)
      ->UseRealTime();
}

BENCHMARK(copy_of_the_pages<bf16>)->Name("max_sim/copy/bf16")->Apply(shapes);
BENCHMARK(max_sim_by<Reference, bf16>)->Name("max_sim/reference/bf16")->Apply(shapes);
BENCHMARK(max_sim_by<Fast, bf16>)->Name("max_sim/fast/bf16")->Apply(shapes);
BENCHMARK(max_sim_by<Fast, f16>)->Name("max_sim/fast/f16")->Apply(shapes);
BENCHMARK(max_sim_by<Fast, float>)->Name("max_sim/fast/f32")->Apply(shapes);

}  // namespace
}  // namespace paligemma
