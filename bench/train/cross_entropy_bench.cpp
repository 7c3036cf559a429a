// Softmax, loss and gradient of rows of logits. One row of a published vocabulary is a token that is learned; 64 are
// what train/next_token_loss.h takes at once.
#include <benchmark/benchmark.h>

#include <vector>

#include "bench/support/copy.h"
#include "fast/train/cross_entropy.h"
#include "tests/support/data.h"
#include "train/cross_entropy.h"

namespace paligemma {
namespace {

template <class On>
void cross_entropy_by(benchmark::State& state) {
  const Index B = state.range(0), V = state.range(1);
  const auto logits = test::random<float, 2>({B, V}, 1);
  const std::vector<TokenId> targets(static_cast<std::size_t>(B), 7);
  const std::vector<float> weights(static_cast<std::size_t>(B), 1);
  Buffer<float, 1> losses({B});
  Buffer<float, 2> dlogits({B, V});
  const On on;
  for (auto _ : state) {
    cross_entropy(on, logits.view(), {targets.data(), {B}}, {weights.data(), {B}}, {},
                  losses.view(), dlogits.view());
    benchmark::ClobberMemory();
  }
  bench::count_bytes(state, 2 * B * V * 4);
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"B", "V"})
      ->Args({1, 257216})
      ->Args({64, 257216})
      ->Unit(benchmark::kMicrosecond)
      ->UseRealTime();
}

BENCHMARK(bench::copy)->Name("cross_entropy/copy/f32")->Apply(shapes);
BENCHMARK(cross_entropy_by<Reference>)->Name("cross_entropy/reference/f32")->Apply(shapes);
BENCHMARK(cross_entropy_by<Fast>)->Name("cross_entropy/fast/f32")->Apply(shapes);

}  // namespace
}  // namespace paligemma
