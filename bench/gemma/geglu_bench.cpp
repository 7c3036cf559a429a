// GeGLU on the CPU. One token is decoding; 276 tokens is a 224-pixel picture with a short prompt.
#include <benchmark/benchmark.h>

#include "bench/support/copy.h"
#include "gemma/geglu.h"
#include "tests/support/data.h"

namespace paligemma {
namespace {

void geglu_reference(benchmark::State& state) {
  const Index T = state.range(0), F = state.range(1);
  const auto gate = test::random<float, 2>({T, F}, 1), up = test::random<float, 2>({T, F}, 2);
  Buffer<float, 2> y({T, F});
  for (auto _ : state) {
    geglu(reference, GeluForm::tanh, gate.view(), up.view(), y.view());
    benchmark::ClobberMemory();
  }
  bench::count_bytes(state, 3 * T * F * 4);
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "F"})->Args({1, 16384})->Args({276, 16384})->Unit(benchmark::kMicrosecond);
}

BENCHMARK(bench::copy)->Name("geglu/copy/f32")->Apply(shapes);
BENCHMARK(geglu_reference)->Name("geglu/reference/f32")->Apply(shapes);

}  // namespace
}  // namespace paligemma
