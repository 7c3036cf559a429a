// Attention on the CPU, one layer: a decoded token of Gemma 2B and its prefill with a 224-pixel
// picture and a short prompt, and SigLIP-So400m on that picture.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "bench/support/copy.h"
#include "fast/tensor/scaled_dot_product_attention.h"
#include "tensor/dot.h"
#include "tensor/scaled_dot_product_attention.h"
#include "tests/support/data.h"

namespace paligemma {
namespace {

template <class On>
void attention_by(benchmark::State& state) {
  const Index T = state.range(0), S = state.range(1), N = state.range(2), K = state.range(3),
              H = state.range(4);
  const auto q = test::random<float, 3>({T, N, H}, 1);
  const auto k = test::random<float, 3>({S, K, H}, 2), v = test::random<float, 3>({S, K, H}, 3);
  Buffer<float, 3> out({T, N, H});
  const AttentionRule rule{1.0f / std::sqrt(static_cast<float>(H))};
  const On on;
  for (auto _ : state) {
    scaled_dot_product_attention(on, q.view(), k.view(), v.view(), {}, rule, out.view());
    benchmark::ClobberMemory();
  }
  bench::count_bytes(state, 2 * (T * N + S * K) * H * 4);
  bench::count_flops(state, 4.0 * static_cast<double>(T * S) * static_cast<double>(N * H));
}

// Five products of the forward's two.
template <class On>
void attention_backward_by(benchmark::State& state) {
  const Index T = state.range(0), S = state.range(1), N = state.range(2), K = state.range(3),
              H = state.range(4);
  const auto q = test::random<float, 3>({T, N, H}, 1), dout = test::random<float, 3>({T, N, H}, 4);
  const auto k = test::random<float, 3>({S, K, H}, 2), v = test::random<float, 3>({S, K, H}, 3);
  Buffer<float, 3> out({T, N, H}), dq({T, N, H}), dk({S, K, H}), dv({S, K, H});
  Buffer<float, 2> log_sum_exp({T, N});
  const AttentionRule rule{1.0f / std::sqrt(static_cast<float>(H))};
  const On on;
  scaled_dot_product_attention(on, q.view(), k.view(), v.view(), {}, rule, out.view(), {},
                               {.log_sum_exp = log_sum_exp.view()});
  for (auto _ : state) {
    scaled_dot_product_attention_backward(on,
                                          {q.view(),
                                           k.view(),
                                           v.view(),
                                           {},
                                           rule,
                                           std::as_const(out).view(),
                                           std::as_const(log_sum_exp).view()},
                                          dout.view(), {dq.view(), dk.view(), dv.view()});
    benchmark::ClobberMemory();
  }
  bench::count_flops(state, 10.0 * static_cast<double>(T * S) * static_cast<double>(N * H));
}

// The yardstick of decoding: the keys and values, copied.
void copy_of_keys_and_values(benchmark::State& state) {
  const Index count = 2 * state.range(1) * state.range(3) * state.range(4);
  const auto from = test::random<float, 1>({count}, 2);
  Buffer<float, 1> to({count});
  for (auto _ : state) {
    std::copy_n(from.view().data(), count, to.view().data());
    benchmark::ClobberMemory();
  }
  bench::count_bytes(state, 2 * count * 4);
}

// The yardstick of prefill: the inner product of two heads that stay in the cache, on one core.
void dot_in_cache(benchmark::State& state) {
  const Index H = state.range(4);
  const auto a = test::random<float, 1>({H}, 1), b = test::random<float, 1>({H}, 2);
  for (auto _ : state) benchmark::DoNotOptimize(dot(a.view().data(), b.view().data(), H));
  bench::count_flops(state, 2.0 * static_cast<double>(H));
}

void decode(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "S", "N", "K", "H"})
      ->Args({1, 276, 8, 1, 256})
      ->Unit(benchmark::kMicrosecond)
      ->UseRealTime();
}

void prefill(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "S", "N", "K", "H"})
      ->Args({276, 276, 8, 1, 256})
      ->Args({256, 256, 16, 16, 72})
      ->Unit(benchmark::kMicrosecond)
      ->UseRealTime();
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "S", "N", "K", "H"})
      ->Args({1, 276, 8, 1, 256})
      ->Args({276, 276, 8, 1, 256})
      ->Args({256, 256, 16, 16, 72})
      ->Unit(benchmark::kMicrosecond)
      ->UseRealTime();
}

BENCHMARK(copy_of_keys_and_values)->Name("scaled_dot_product_attention/copy/f32")->Apply(decode);
BENCHMARK(dot_in_cache)->Name("scaled_dot_product_attention/dot/f32")->Apply(decode);
BENCHMARK(attention_by<Reference>)
    ->Name("scaled_dot_product_attention/reference/f32")
    ->Apply(shapes);
BENCHMARK(attention_by<Fast>)->Name("scaled_dot_product_attention/fast/f32")->Apply(shapes);
BENCHMARK(attention_backward_by<Reference>)
    ->Name("scaled_dot_product_attention/reference_backward/f32")
    ->Apply(prefill);
BENCHMARK(attention_backward_by<Fast>)
    ->Name("scaled_dot_product_attention/fast_backward/f32")
    ->Apply(prefill);

}  // namespace
}  // namespace paligemma
