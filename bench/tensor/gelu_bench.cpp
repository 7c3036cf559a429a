// GELU on the CPU: one patch, and all 256 of a 224-pixel picture, in the MLP of SigLIP-So400m.
#include <benchmark/benchmark.h>

#include "bench/support/copy.h"
#include "tensor/gelu.h"
#include "tests/support/data.h"

namespace paligemma {
namespace {

template <GeluForm form>
void gelu_reference(benchmark::State& state) {
  const Index T = state.range(0), F = state.range(1);
  const auto x = test::random<float, 2>({T, F}, 1);
  Buffer<float, 2> y({T, F});
  for (auto _ : state) {
    gelu(reference, form, x.view(), y.view());
    benchmark::ClobberMemory();
  }
  bench::count_bytes(state, 2 * T * F * 4);
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "F"})->Args({1, 4304})->Args({256, 4304})->Unit(benchmark::kMicrosecond);
}

BENCHMARK(bench::copy)->Name("gelu/copy/f32")->Apply(shapes);
BENCHMARK(gelu_reference<GeluForm::tanh>)->Name("gelu/reference_tanh/f32")->Apply(shapes);
BENCHMARK(gelu_reference<GeluForm::exact>)->Name("gelu/reference_exact/f32")->Apply(shapes);

}  // namespace
}  // namespace paligemma
