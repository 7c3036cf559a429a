// An adapter of rank 16 beside Gemma's widest layer: the product with a, and what is added to its sums. One token is
// decoding; 276 tokens is a 224-pixel picture with a short prompt.
#include <benchmark/benchmark.h>

#include "bench/support/copy.h"
#include "fast/tensor/linear.h"
#include "fast/tensor/lora.h"
#include "tests/support/lora.h"

namespace paligemma {
namespace {

constexpr Index kRank = 16;

template <class On>
void lora_by(benchmark::State& state) {
  const Index T = state.range(0), I = 2048, O = state.range(1);
  const test::RandomLora random_lora(O, I, kRank, 1);
  const auto adapter = random_lora.plain();
  const auto x = test::random<float, 2>({T, I}, 7);
  Buffer<float, 2> y({T, O});
  const On on;
  for (auto _ : state) {
    lora(on, x.view(), adapter, y.view());
    benchmark::ClobberMemory();
  }
  bench::count_bytes(state, 4 * (kRank * (I + O) + T * I + 2 * T * O));
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "O"})
      ->Args({1, 16384})
      ->Args({276, 16384})
      ->Unit(benchmark::kMicrosecond)
      ->UseRealTime();
}

BENCHMARK(bench::copy)->Name("lora/copy/f32")->Apply(shapes);
BENCHMARK(lora_by<Reference>)->Name("lora/reference/f32")->Apply(shapes);
BENCHMARK(lora_by<Fast>)->Name("lora/fast/f32")->Apply(shapes);

}  // namespace
}  // namespace paligemma
