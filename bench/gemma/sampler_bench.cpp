// Sampling on the CPU. 257216 is the vocabulary of the published checkpoints.
#include <benchmark/benchmark.h>

#include "bench/support/copy.h"
#include "gemma/sampler.h"
#include "tests/support/data.h"

namespace paligemma {
namespace {

void sampler_reference(benchmark::State& state, SamplerOptions options) {
  const Index V = state.range(1);
  const auto logits = test::random<float, 1>({V}, 1);
  std::uint64_t step = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(sample(reference, logits.view(), options, step++));
  }
  bench::count_bytes(state, V * 4);
}

void log_probability_reference(benchmark::State& state) {
  const Index V = state.range(1);
  const auto logits = test::random<float, 1>({V}, 1);
  for (auto _ : state) benchmark::DoNotOptimize(log_probability(reference, logits.view(), 0));
  bench::count_bytes(state, V * 4);
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "V"})->Args({1, 257216})->Unit(benchmark::kMicrosecond);
}

BENCHMARK(bench::copy)->Name("sampler/copy/f32")->Apply(shapes);
BENCHMARK_CAPTURE(sampler_reference, greedy, SamplerOptions{})
    ->Name("sampler/reference_greedy/f32")
    ->Apply(shapes);
BENCHMARK_CAPTURE(sampler_reference, top_p, SamplerOptions{.temperature = 1, .top_p = 0.9f})
    ->Name("sampler/reference_top_p/f32")
    ->Apply(shapes);
BENCHMARK(log_probability_reference)->Name("sampler/reference_log_probability/f32")->Apply(shapes);

}  // namespace
}  // namespace paligemma
