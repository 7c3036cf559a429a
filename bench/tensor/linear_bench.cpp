// Linear on the CPU. One token is decoding, where every weight is read for two operations; more are a 224-pixel
// picture (256, in SigLIP-So400m) and its prefix with a short prompt (264), where every weight is read once for
// all. A matrix of Gemma 2B's MLP does not fit in the caches, as in a model, where others lie between.
#include <benchmark/benchmark.h>

#include <algorithm>

#include "bench/support/copy.h"
#include "bench/support/peers.h"
#include "fast/tensor/linear.h"
#include "tensor/dot.h"
#include "tensor/linear.h"
#include "tests/support/data.h"

namespace paligemma {
namespace {

template <class On, class Weight>
void linear_by(benchmark::State& state) {
  const Index T = state.range(0), I = state.range(1), O = state.range(2);
  const auto x = test::random<float, 2>({T, I}, 1);
  const auto weight = test::random<Weight, 2>({O, I}, 2);
  Buffer<float, 2> y({T, O});
  for (auto _ : state) {
    linear(On(), x.view(), weight.view(), y.view());
    benchmark::ClobberMemory();
  }
  bench::count_bytes(state, T * (I + O) * 4 + O * I * static_cast<Index>(sizeof(Weight)));
  bench::count_flops(state, 2.0 * static_cast<double>(T) * static_cast<double>(I * O),
                     std::is_same_v<Weight, bf16> ? &Limits::bf16 : &Limits::f32);
}

// The yardstick of decoding: the weights, copied.
template <class Weight>
void copy_of_the_weights(benchmark::State& state) {
  const Index count = state.range(1) * state.range(2);
  const auto weight = test::random<Weight, 1>({count}, 2);
  Buffer<Weight, 1> to({count});
  for (auto _ : state) {
    std::copy_n(weight.view().data(), count, to.view().data());
    benchmark::ClobberMemory();
  }
  bench::count_bytes(state, 2 * count * static_cast<Index>(sizeof(Weight)));
}

// The yardstick of prefill: the inner product of two rows that stay in the cache, on one core.
void dot_in_cache(benchmark::State& state) {
  const Index I = state.range(1);
  const auto a = test::random<float, 1>({I}, 1), b = test::random<float, 1>({I}, 2);
  for (auto _ : state) benchmark::DoNotOptimize(dot(a.view().data(), b.view().data(), I));
  bench::count_flops(state, 2.0 * static_cast<double>(I));
}

void decode(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "I", "O"})
      ->Args({1, 2048, 16384})
      ->Unit(benchmark::kMicrosecond)
      ->UseRealTime();
}

void shapes(benchmark::internal::Benchmark* b) {
  b->Apply(decode);
  b->Args({264, 2048, 16384})->Args({256, 1152, 4304});
}

void one_of_each(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "I", "O"})
      ->Args({1, 2048, 2048})
      ->Args({264, 2048, 2048})
      ->Unit(benchmark::kMicrosecond)
      ->UseRealTime();
}

BENCHMARK(copy_of_the_weights<float>)->Name("linear/copy/f32")->Apply(decode);
BENCHMARK(copy_of_the_weights<bf16>)->Name("linear/copy/bf16")->Apply(decode);
BENCHMARK(dot_in_cache)->Name("linear/dot/f32")->Apply(decode);
BENCHMARK(linear_by<Reference, float>)->Name("linear/reference/f32")->Apply(one_of_each);
BENCHMARK(linear_by<Reference, bf16>)->Name("linear/reference/bf16")->Apply(one_of_each);
BENCHMARK(linear_by<Reference, f16>)->Name("linear/reference/f16")->Apply(one_of_each);
BENCHMARK(linear_by<Fast, float>)->Name("linear/fast/f32")->Apply(shapes);
BENCHMARK(linear_by<Fast, bf16>)->Name("linear/fast/bf16")->Apply(shapes);
BENCHMARK(linear_by<Fast, f16>)->Name("linear/fast/f16")->Apply(shapes);
const int peers = (bench::add_product_yardsticks("linear"), 0);

}  // namespace
}  // namespace paligemma
