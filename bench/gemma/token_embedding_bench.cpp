// Token embedding on the CPU. One token is decoding; 20 are the words of a prompt. The table has
// fewer rows than the published one: only the rows that are asked for are read.
#include <benchmark/benchmark.h>

#include <cmath>

#include "bench/support/copy.h"
#include "gemma/token_embedding.h"
#include "tests/support/data.h"

namespace paligemma {
namespace {

template <class Table>
void token_embedding_reference(benchmark::State& state) {
  const Index T = state.range(0), D = state.range(1), V = 4096;
  const auto table = test::random<Table, 2>({V, D}, 1);
  Buffer<TokenId, 1> ids({T});
  for (Index t = 0; t < T; ++t) ids.view()(t) = static_cast<TokenId>(t * 1009 % V);
  Buffer<float, 2> y({T, D});
  for (auto _ : state) {
    token_embedding(reference, ids.view(), table.view(), std::sqrt(static_cast<float>(D)),
                    y.view());
    benchmark::ClobberMemory();
  }
  bench::count_bytes(state, T * D * (4 + static_cast<Index>(sizeof(Table))));
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "D"})->Args({1, 2048})->Args({20, 2048})->Unit(benchmark::kMicrosecond);
}

BENCHMARK(bench::copy)->Name("token_embedding/copy/f32")->Apply(shapes);
BENCHMARK(token_embedding_reference<float>)->Name("token_embedding/reference/f32")->Apply(shapes);
BENCHMARK(token_embedding_reference<bf16>)->Name("token_embedding/reference/bf16")->Apply(shapes);

}  // namespace
}  // namespace paligemma
