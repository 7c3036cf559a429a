// GELU on the CPU: one patch, and all 256 of a 224-pixel picture, in the MLP of SigLIP-So400m.
#include <benchmark/benchmark.h>

#include "bench/support/copy.h"
#include "fast/tensor/gelu.h"
#include "tensor/gelu.h"
#include "tests/support/data.h"

namespace paligemma {
namespace {

template <class On, GeluForm form>
void gelu_by(benchmark::State& state) {
  const Index T = state.range(0), F = state.range(1);
  const auto x = test::random<float, 2>({T, F}, 1);
  Buffer<float, 2> y({T, F});
  const On on;
  for (auto _ : state) {
    gelu(on, form, x.view(), y.view());
    benchmark::ClobberMemory();
  }
  bench::count_bytes(state, 2 * T * F * 4);
}

template <class On>
void gelu_backward_by(benchmark::State& state) {
  const Index T = state.range(0), F = state.range(1);
  const auto x = test::random<float, 2>({T, F}, 1), dy = test::random<float, 2>({T, F}, 2);
  Buffer<float, 2> dx({T, F});
  const On on;
  for (auto _ : state) {
    gelu_backward(on, GeluForm::tanh, x.view(), dy.view(), dx.view());
    benchmark::ClobberMemory();
  }
  bench::count_bytes(state, 3 * T * F * 4);
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "F"})
      ->Args({1, 4304})
      ->Args({256, 4304})
      ->Unit(benchmark::kMicrosecond)
      ->UseRealTime();
}

BENCHMARK(bench::copy)->Name("gelu/copy/f32")->Apply(shapes);
BENCHMARK(gelu_by<Reference, GeluForm::tanh>)->Name("gelu/reference_tanh/f32")->Apply(shapes);
BENCHMARK(gelu_by<Reference, GeluForm::exact>)->Name("gelu/reference_exact/f32")->Apply(shapes);
BENCHMARK(gelu_by<Fast, GeluForm::tanh>)->Name("gelu/fast_tanh/f32")->Apply(shapes);
BENCHMARK(gelu_backward_by<Reference>)->Name("gelu/reference_backward/f32")->Apply(shapes);
BENCHMARK(gelu_backward_by<Fast>)->Name("gelu/fast_backward/f32")->Apply(shapes);

}  // namespace
}  // namespace paligemma
