// Softmax on the CPU. A row is what one query and one head need: 276 keys are a 224-pixel picture
// with a short prompt. 8 rows are one decoded token of Gemma 2B, 4096 one layer of SigLIP.
#include <benchmark/benchmark.h>

#include "bench/support/copy.h"
#include "tensor/softmax.h"
#include "tests/support/data.h"

namespace paligemma {
namespace {

void softmax_reference(benchmark::State& state) {
  const Index T = state.range(0), S = state.range(1);
  const auto x = test::random<float, 2>({T, S}, 1);
  Buffer<float, 2> y({T, S});
  for (auto _ : state) {
    softmax(reference, x.view(), y.view());
    benchmark::ClobberMemory();
  }
  bench::count_bytes(state, 2 * T * S * 4);
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "S"})->Args({8, 276})->Args({4096, 256})->Unit(benchmark::kMicrosecond);
}

BENCHMARK(bench::copy)->Name("softmax/copy/f32")->Apply(shapes);
BENCHMARK(softmax_reference)->Name("softmax/reference/f32")->Apply(shapes);

}  // namespace
}  // namespace paligemma
