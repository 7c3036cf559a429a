// GeGLU on the CPU. One token is decoding; 276 tokens is a 224-pixel picture with a short prompt.
#include <benchmark/benchmark.h>

#include "bench/support/copy.h"
#include "fast/gemma/geglu.h"
#include "gemma/geglu.h"
#include "tests/support/data.h"

namespace paligemma {
namespace {

template <class On>
void geglu_by(benchmark::State& state) {
  const Index T = state.range(0), F = state.range(1);
  const auto gate = test::random<float, 2>({T, F}, 1), up = test::random<float, 2>({T, F}, 2);
  Buffer<float, 2> y({T, F});
  const On on;
  for (auto _ : state) {
    geglu(on, GeluForm::tanh, gate.view(), up.view(), y.view());
    benchmark::ClobberMemory();
  }
  bench::count_bytes(state, 3 * T * F * 4);
}

template <class On>
void geglu_backward_by(benchmark::State& state) {
  const Index T = state.range(0), F = state.range(1);
  const auto gate = test::random<float, 2>({T, F}, 1), up = test::random<float, 2>({T, F}, 2),
             dy = test::random<float, 2>({T, F}, 3);
  Buffer<float, 2> dgate({T, F}), dup({T, F});
  const On on;
  for (auto _ : state) {
    geglu_backward(on, GeluForm::tanh, gate.view(), up.view(), dy.view(), dgate.view(), dup.view());
    benchmark::ClobberMemory();
  }
  bench::count_bytes(state, 5 * T * F * 4);
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "F"})
      ->Args({1, 16384})
      ->Args({276, 16384})
      ->Unit(benchmark::kMicrosecond)
      ->UseRealTime();
}

BENCHMARK(bench::copy)->Name("geglu/copy/f32")->Apply(shapes);
BENCHMARK(geglu_by<Reference>)->Name("geglu/reference/f32")->Apply(shapes);
BENCHMARK(geglu_by<Fast>)->Name("geglu/fast/f32")->Apply(shapes);
BENCHMARK(geglu_backward_by<Reference>)->Name("geglu/reference_backward/f32")->Apply(shapes);
BENCHMARK(geglu_backward_by<Fast>)->Name("geglu/fast_backward/f32")->Apply(shapes);

}  // namespace
}  // namespace paligemma
