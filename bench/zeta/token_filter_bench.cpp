// Filtering on the CPU. 20000 is PalmE's vocabulary, 257216 that of the published PaliGemma checkpoints. The
// logits are nearly flat, so that top_p and top_a keep most tokens: the worst case. They are copied each
// time, as filtering writes over them.
#include <benchmark/benchmark.h>

#include <algorithm>

#include "bench/support/copy.h"
#include "tests/support/data.h"
#include "zeta/token_filter.h"

namespace paligemma {
namespace {

void token_filter_by(benchmark::State& state, const TokenFilter& filter) {
  const Index V = state.range(1);
  const auto logits = test::random<float, 1>({V}, 1);
  Buffer<float, 1> filtered({V});
  for (auto _ : state) {
    std::copy_n(logits.view().data(), V, filtered.view().data());
    filter_tokens(filter, filtered.view());
    benchmark::ClobberMemory();
  }
  bench::count_bytes(state, V * 4);
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "V"})
      ->Args({1, 20000})
      ->Args({1, 257216})
      ->Unit(benchmark::kMicrosecond)
      ->UseRealTime();
}

BENCHMARK(bench::copy)->Name("token_filter/copy/f32")->Apply(shapes);
BENCHMARK_CAPTURE(token_filter_by, top_k, TokenFilter{.top_k_share = 0.9})
    ->Name("token_filter/reference_top_k/f32")
    ->Apply(shapes);
BENCHMARK_CAPTURE(token_filter_by, top_p, TokenFilter{.top_p = 0.9})
    ->Name("token_filter/reference_top_p/f32")
    ->Apply(shapes);
BENCHMARK_CAPTURE(token_filter_by, top_a, TokenFilter{.top_a_ratio = 0.02})
    ->Name("token_filter/reference_top_a/f32")
    ->Apply(shapes);

}  // namespace
}  // namespace paligemma
