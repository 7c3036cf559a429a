// Patch embedding on the CPU, with So400m's patches of 14 pixels. L is the number of patches: one,
// and those of a 224-pixel picture. The yardstick is the matrix product that remains when the
// patches lie in memory as rows.
#include <benchmark/benchmark.h>

#include <cmath>

#include "bench/support/copy.h"
#include "fast/siglip/patch_embedding.h"
#include "siglip/patch_embedding.h"
#include "tensor/linear.h"
#include "tests/support/data.h"

namespace paligemma {
namespace {

constexpr Index P = 14;

double flops(Index L, Index D) { return 2.0 * static_cast<double>(L * D * 3 * P * P); }

template <class On, class Weight>
void patch_embedding_by(benchmark::State& state) {
  const Index L = state.range(0), D = state.range(1);
  const Index R = P * std::lround(std::sqrt(static_cast<double>(L)));
  const auto pixels = test::random<float, 3>({R, R, 3}, 1);
  const auto weight = test::random<Weight, 2>({D, 3 * P * P}, 2);
  const auto bias = test::random<Weight, 1>({D}, 3);
  Buffer<float, 2> y({L, D});
  const On on;
  for (auto _ : state) {
    patch_embedding(on, pixels.view(), weight.view(), bias.view(), P, y.view());
    benchmark::ClobberMemory();
  }
  bench::count_flops(state, flops(L, D));
}

void product_alone(benchmark::State& state) {
  const Index L = state.range(0), D = state.range(1);
  const auto patches = test::random<float, 2>({L, 3 * P * P}, 1);
  const auto weight = test::random<float, 2>({D, 3 * P * P}, 2);
  Buffer<float, 2> y({L, D});
  for (auto _ : state) {
    linear(reference, patches.view(), Linear{weight.view()}, y.view());
    benchmark::ClobberMemory();
  }
  bench::count_flops(state, flops(L, D));
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"L", "D"})
      ->Args({1, 1152})
      ->Args({256, 1152})
      ->Unit(benchmark::kMillisecond)
      ->UseRealTime();
}

BENCHMARK(bench::copy)->Name("patch_embedding/copy/f32")->Apply(shapes);
BENCHMARK(product_alone)->Name("patch_embedding/linear/f32")->Apply(shapes);
BENCHMARK(patch_embedding_by<Reference, float>)
    ->Name("patch_embedding/reference/f32")
    ->Apply(shapes);
BENCHMARK(patch_embedding_by<Reference, bf16>)
    ->Name("patch_embedding/reference/bf16")
    ->Apply(shapes);
BENCHMARK(patch_embedding_by<Fast, bf16>)->Name("patch_embedding/fast/bf16")->Apply(shapes);

}  // namespace
}  // namespace paligemma
