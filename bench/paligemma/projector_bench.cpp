// The projector on the CPU, from SigLIP's 1152 to a width D of Gemma: 2048 in PaliGemma 1, 4608 in
// the largest PaliGemma 2. 256 patches are a 224-pixel picture. The yardstick is the product alone.
#include <benchmark/benchmark.h>

#include "bench/support/copy.h"
#include "fast/tensor/linear.h"
#include "paligemma/projector.h"
#include "tensor/linear.h"
#include "tests/support/data.h"

namespace paligemma {
namespace {

constexpr Index I = 1152;

double flops(Index L, Index D) { return 2.0 * static_cast<double>(L * D * I); }

template <class On, class Weight>
void projector_by(benchmark::State& state) {
  const Index L = state.range(0), D = state.range(1);
  const auto x = test::random<float, 2>({L, I}, 1);
  const auto weight = test::random<Weight, 2>({D, I}, 2);
  const auto bias = test::random<Weight, 1>({D}, 3);
  Buffer<float, 2> y({L, D});
  const On on;
  for (auto _ : state) {
    projector(on, x.view(), Linear{weight.view(), bias.view()}, y.view());
    benchmark::ClobberMemory();
  }
  bench::count_flops(state, flops(L, D));
}

void product_alone(benchmark::State& state) {
  const Index L = state.range(0), D = state.range(1);
  const auto x = test::random<float, 2>({L, I}, 1);
  const auto weight = test::random<float, 2>({D, I}, 2);
  Buffer<float, 2> y({L, D});
  for (auto _ : state) {
    linear(reference, x.view(), Linear{weight.view()}, y.view());
    benchmark::ClobberMemory();
  }
  bench::count_flops(state, flops(L, D));
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"L", "D"})
      ->Args({256, 2048})
      ->Args({256, 4608})
      ->Unit(benchmark::kMillisecond)
      ->UseRealTime();
}

BENCHMARK(bench::copy)->Name("projector/copy/f32")->Apply(shapes);
BENCHMARK(product_alone)->Name("projector/linear/f32")->Apply(shapes);
BENCHMARK(projector_by<Reference, float>)->Name("projector/reference/f32")->Apply(shapes);
BENCHMARK(projector_by<Reference, bf16>)->Name("projector/reference/bf16")->Apply(shapes);
BENCHMARK(projector_by<Fast, bf16>)->Name("projector/fast/bf16")->Apply(shapes);

}  // namespace
}  // namespace paligemma
