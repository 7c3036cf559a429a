// LayerNorm on the CPU. 256 patches are a 224-pixel picture, 4096 one of 896 pixels.
#include <benchmark/benchmark.h>

#include "bench/support/copy.h"
#include "fast/tensor/layer_norm.h"
#include "tensor/layer_norm.h"
#include "tests/support/data.h"

namespace paligemma {
namespace {

template <class On, class Weight>
void layer_norm_by(benchmark::State& state) {
  const Index L = state.range(0), D = state.range(1);
  const auto x = test::random<float, 2>({L, D}, 1);
  const auto scale = test::random<Weight, 1>({D}, 2), bias = test::random<Weight, 1>({D}, 3);
  Buffer<float, 2> y({L, D});
  const On on;
  for (auto _ : state) {
    layer_norm(on, x.view(), scale.view(), bias.view(), 1e-6f, y.view());
    benchmark::ClobberMemory();
  }
  bench::count_bytes(state, 2 * L * D * 4 + 2 * D * static_cast<Index>(sizeof(Weight)));
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"L", "D"})
      ->Args({256, 1152})
      ->Args({4096, 1152})
      ->Unit(benchmark::kMicrosecond)
      ->UseRealTime();
}

BENCHMARK(bench::copy)->Name("layer_norm/copy/f32")->Apply(shapes);
BENCHMARK(layer_norm_by<Reference, float>)->Name("layer_norm/reference/f32")->Apply(shapes);
BENCHMARK(layer_norm_by<Reference, bf16>)->Name("layer_norm/reference/bf16")->Apply(shapes);
BENCHMARK(layer_norm_by<Fast, bf16>)->Name("layer_norm/fast/bf16")->Apply(shapes);

}  // namespace
}  // namespace paligemma
