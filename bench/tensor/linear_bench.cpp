// Linear on the CPU, at the sizes of bench/support/products.h.
#include <benchmark/benchmark.h>

#include "bench/support/copy.h"
#include "bench/support/peers.h"
#include "bench/support/products.h"
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
  const On on;
  for (auto _ : state) {
    linear(on, x.view(), Linear{weight.view()}, y.view());
    benchmark::ClobberMemory();
  }
  bench::count_bytes(state, T * (I + O) * 4 + O * I * static_cast<Index>(sizeof(Weight)));
  bench::count_flops(state, 2.0 * static_cast<double>(T) * static_cast<double>(I * O),
                     std::is_same_v<Weight, bf16> ? &Limits::bf16 : &Limits::f32);
}

// The gradients of x and of the weights, two products.
template <class On, class Weight>
void linear_backward_by(benchmark::State& state) {
  const Index T = state.range(0), I = state.range(1), O = state.range(2);
  const auto x = test::random<float, 2>({T, I}, 1), dy = test::random<float, 2>({T, O}, 3);
  const auto weight = test::random<Weight, 2>({O, I}, 2);
  Buffer<float, 2> dx({T, I}), dw({O, I});
  const On on;
  for (auto _ : state) {
    linear_backward(on, x.view(), Linear{weight.view()}, dy.view(), dx.view(), {dw.view()});
    benchmark::ClobberMemory();
  }
  bench::count_flops(state, 4.0 * static_cast<double>(T) * static_cast<double>(I * O));
}

// The yardstick of decoding: the weights, copied.
template <class Weight>
void copy_of_the_weights(benchmark::State& state) {
  const auto weight = test::random<Weight, 2>({state.range(2), state.range(1)}, 2);
  bench::copy_all<Weight, 2>(state, weight.view());
}

// The yardstick of prefill: the inner product of two rows that stay in the cache, on one core.
void dot_in_cache(benchmark::State& state) {
  const Index I = state.range(1);
  const auto a = test::random<float, 1>({I}, 1), b = test::random<float, 1>({I}, 2);
  for (auto _ : state) benchmark::DoNotOptimize(dot(a.view().data(), b.view().data(), I));
  bench::count_flops(state, 2.0 * static_cast<double>(I));
}

BENCHMARK(copy_of_the_weights<float>)->Name("linear/copy/f32")->Apply(bench::decode);
BENCHMARK(copy_of_the_weights<bf16>)->Name("linear/copy/bf16")->Apply(bench::decode);
BENCHMARK(dot_in_cache)->Name("linear/dot/f32")->Apply(bench::decode);
BENCHMARK(linear_by<Reference, float>)->Name("linear/reference/f32")->Apply(bench::small_shapes);
BENCHMARK(linear_by<Reference, bf16>)->Name("linear/reference/bf16")->Apply(bench::small_shapes);
BENCHMARK(linear_by<Reference, f16>)->Name("linear/reference/f16")->Apply(bench::small_shapes);
BENCHMARK(linear_by<Fast, float>)->Name("linear/fast/f32")->Apply(bench::shapes);
BENCHMARK(linear_by<Fast, bf16>)->Name("linear/fast/bf16")->Apply(bench::shapes);
BENCHMARK(linear_by<Fast, f16>)->Name("linear/fast/f16")->Apply(bench::shapes);
BENCHMARK(linear_backward_by<Reference, float>)
    ->Name("linear/reference_backward/f32")
    ->Apply(bench::small_shapes);
BENCHMARK(linear_backward_by<Fast, float>)->Name("linear/fast_backward/f32")->Apply(bench::learned);
BENCHMARK(linear_backward_by<Fast, bf16>)->Name("linear/fast_backward/bf16")->Apply(bench::learned);
const int peers = (bench::add_product_yardsticks("linear"), 0);

}  // namespace
}  // namespace paligemma
