// The prefix-LM mask on the CPU. One token is decoding; 276 tokens are a 224-pixel picture with a
// short prompt, 4608 one of 896 pixels with a long one. The yardstick copies as many numbers.
#include <benchmark/benchmark.h>

#include "bench/support/copy.h"
#include "gemma/prefix_lm_mask.h"

namespace paligemma {
namespace {

void prefix_lm_mask_reference(benchmark::State& state) {
  const Index T = state.range(0);
  const Index first = T == 1 ? 276 : 0, prefix = T == 1 ? 276 : T;
  Buffer<KeyRange, 1> visible({T});
  for (auto _ : state) {
    prefix_lm_mask(reference, first, prefix, 4096, visible.view());
    benchmark::ClobberMemory();
  }
  bench::count_bytes(state, T * static_cast<Index>(sizeof(KeyRange)));
}

// A range is two 64-bit numbers, as much as four floats.
void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "D"})->Args({1, 4})->Args({276, 4})->Args({4608, 4});
}

BENCHMARK(bench::copy)->Name("prefix_lm_mask/copy/f32")->Apply(shapes);
BENCHMARK(prefix_lm_mask_reference)->Name("prefix_lm_mask/reference/index")->Apply(shapes);

}  // namespace
}  // namespace paligemma
