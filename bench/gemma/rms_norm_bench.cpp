// RMSNorm on the CPU. One token is decoding; 276 tokens is a 224-pixel picture with a short prompt.
#include <benchmark/benchmark.h>

#include "bench/support/copy.h"
#include "fast/gemma/rms_norm.h"
#include "gemma/rms_norm.h"
#include "tests/support/data.h"

namespace paligemma {
namespace {

template <class On, class Weight>
void rms_norm_by(benchmark::State& state) {
  const Index T = state.range(0), D = state.range(1);
  const auto x = test::random<float, 2>({T, D}, 1);
  const auto scale = test::random<Weight, 1>({D}, 2);
  Buffer<float, 2> y({T, D});
  const On on;
  for (auto _ : state) {
    rms_norm(on, x.view(), scale.view(), {1e-6f, 1}, y.view());
    benchmark::ClobberMemory();
  }
  bench::count_bytes(state, 2 * T * D * 4 + D * static_cast<Index>(sizeof(Weight)));
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "D"})
      ->Args({1, 2048})
      ->Args({276, 2048})
      ->Unit(benchmark::kMicrosecond)
      ->UseRealTime();
}

BENCHMARK(bench::copy)->Name("rms_norm/copy/f32")->Apply(shapes);
BENCHMARK(rms_norm_by<Reference, float>)->Name("rms_norm/reference/f32")->Apply(shapes);
BENCHMARK(rms_norm_by<Reference, bf16>)->Name("rms_norm/reference/bf16")->Apply(shapes);
BENCHMARK(rms_norm_by<Fast, bf16>)->Name("rms_norm/fast/bf16")->Apply(shapes);

}  // namespace
}  // namespace paligemma
