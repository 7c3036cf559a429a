// Sampling on the CPU. 257216 is the vocabulary of the published checkpoints.
#include <benchmark/benchmark.h>

#include "bench/support/copy.h"
#include "fast/gemma/sampler.h"
#include "gemma/sampler.h"
#include "tests/support/data.h"

namespace paligemma {
namespace {

template <class On, bool TopP = false>
void sampler_by(benchmark::State& state) {
  const SamplerOptions options =
      TopP ? SamplerOptions{.temperature = 1, .top_p = 0.9f} : SamplerOptions{};
  const Index V = state.range(1);
  const auto logits = test::random<float, 1>({V}, 1);
  std::uint64_t step = 0;
  const On on;
  for (auto _ : state) {
    benchmark::DoNotOptimize(sample(on, logits.view(), options, step++));
  }
  bench::count_bytes(state, V * 4);
}

template <class On>
void log_probability_by(benchmark::State& state) {
  const Index V = state.range(1);
  const auto logits = test::random<float, 1>({V}, 1);
  const On on;
  for (auto _ : state) benchmark::DoNotOptimize(log_probability(on, logits.view(), 0));
  bench::count_bytes(state, V * 4);
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "V"})->Args({1, 257216})->Unit(benchmark::kMicrosecond)->UseRealTime();
}

BENCHMARK(bench::copy)->Name("sampler/copy/f32")->Apply(shapes);
BENCHMARK(sampler_by<Reference>)->Name("sampler/reference_greedy/f32")->Apply(shapes);
BENCHMARK(sampler_by<Reference, true>)->Name("sampler/reference_top_p/f32")->Apply(shapes);
BENCHMARK(log_probability_by<Reference>)
    ->Name("sampler/reference_log_probability/f32")
    ->Apply(shapes);
BENCHMARK(sampler_by<Fast>)->Name("sampler/fast_greedy/f32")->Apply(shapes);
BENCHMARK(sampler_by<Fast, true>)->Name("sampler/fast_top_p/f32")->Apply(shapes);
BENCHMARK(log_probability_by<Fast>)->Name("sampler/fast_log_probability/f32")->Apply(shapes);

}  // namespace
}  // namespace paligemma
