// Position embedding on the CPU. 256 patches are a 224-pixel picture, 4096 one of 896 pixels.
#include <benchmark/benchmark.h>

#include "bench/support/copy.h"
#include "siglip/position_embedding.h"
#include "tests/support/data.h"

namespace paligemma {
namespace {

template <class Weight>
void position_embedding_reference(benchmark::State& state) {
  const Index L = state.range(0), D = state.range(1);
  const auto table = test::random<Weight, 2>({L, D}, 1);
  Buffer<float, 2> x({L, D});
  for (auto _ : state) {
    position_embedding(reference, table.view(), x.view());
    benchmark::ClobberMemory();
  }
  bench::count_bytes(state, L * D * (2 * 4 + static_cast<Index>(sizeof(Weight))));
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"L", "D"})->Args({256, 1152})->Args({4096, 1152})->Unit(benchmark::kMicrosecond);
}

BENCHMARK(bench::copy)->Name("position_embedding/copy/f32")->Apply(shapes);
BENCHMARK(position_embedding_reference<float>)
    ->Name("position_embedding/reference/f32")
    ->Apply(shapes);
BENCHMARK(position_embedding_reference<bf16>)
    ->Name("position_embedding/reference/bf16")
    ->Apply(shapes);

}  // namespace
}  // namespace paligemma
