// Token embedding on the GPU. One token is decoding; 20 are the words of a prompt. Each launch asks
// for other rows of the whole table, so that they come from device memory.
#include <cmath>

#include "bench/support/cuda_bench.h"
#include "cuda/gemma/token_embedding.h"

namespace paligemma {
namespace {

using cuda::TokenEmbeddingKernel;

template <class Table>
void run(benchmark::State& state, TokenEmbeddingKernel kernel) {
  constexpr Index kVocabulary = 257216, kSets = 256;
  const Index T = state.range(0), D = state.range(1);
  const cuda::Stream stream;
  const auto table = bench::random<Table, 2>(stream, {kVocabulary, D}, 1);
  Buffer<TokenId, 2> ids({kSets, T});
  for (Index i = 0; i < kSets * T; ++i) {
    ids.view().data()[i] = static_cast<TokenId>(i * 104729 % kVocabulary);
  }
  const auto ids_there = to_device(stream, ids.view());
  cuda::DeviceBuffer<float, 2> y({T, D});
  bench::measure(state, stream,
                 {.weight_bytes = T * D * Index{sizeof(Table)},
                  .copies = kSets,
                  .read_bytes = T * Index{sizeof(TokenId)},
                  .write_bytes = T * D * 4},
                 [&](Index i) {
                   const DeviceView<const TokenId, 1> some = ids_there.view().row(i % kSets);
                   token_embedding<Table>(stream, some, table.view(),
                                          std::sqrt(static_cast<float>(D)), y.view(), kernel);
                 });
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "D"})->Args({1, 2048})->Args({20, 2048});
}

constexpr std::pair<const char*, TokenEmbeddingKernel> kKernels[] = {
    {"thread_per_number", TokenEmbeddingKernel::thread_per_number},
    {"thread_per_pack", TokenEmbeddingKernel::thread_per_pack},
};

}  // namespace

void bench::list_benchmarks() {
  for (const auto& [name, kernel] : kKernels) {
    add(std::string("token_embedding/") + name + "/f32", run<float>, kernel)->Apply(shapes);
    add(std::string("token_embedding/") + name + "/bf16", run<bf16>, kernel)->Apply(shapes);
  }
}

}  // namespace paligemma
