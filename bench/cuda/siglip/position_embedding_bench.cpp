// Position embedding on the GPU, of the 256 patches of a 224-pixel picture.
#include "bench/support/cuda_bench.h"
#include "cuda/siglip/position_embedding.h"

namespace paligemma {
namespace {

using cuda::PositionEmbeddingKernel;

template <class Weight>
void run(benchmark::State& state, PositionEmbeddingKernel kernel) {
  const Index T = state.range(0), D = state.range(1);
  const cuda::Stream stream;
  const bench::Copies<Weight, 2> table(stream, {T, D}, 1);
  auto x = bench::random<float, 2>(stream, {T, D}, 2);
  bench::measure(state, stream,
                 {.weight_bytes = table.bytes(),
                  .copies = table.count(),
                  .read_bytes = T * D * 4,
                  .write_bytes = T * D * 4},
                 [&](Index i) { position_embedding(stream, table.at(i), x.view(), kernel); });
}

void shapes(benchmark::internal::Benchmark* b) { b->ArgNames({"T", "D"})->Args({256, 1152}); }

constexpr std::pair<const char*, PositionEmbeddingKernel> kKernels[] = {
    {"thread_per_number", PositionEmbeddingKernel::thread_per_number},
    {"thread_per_pack", PositionEmbeddingKernel::thread_per_pack},
};

}  // namespace

void bench::list_benchmarks() {
  for (const auto& [name, kernel] : kKernels) {
    add(std::string("position_embedding/") + name + "/f32", run<float>, kernel)->Apply(shapes);
    add(std::string("position_embedding/") + name + "/bf16", run<bf16>, kernel)->Apply(shapes);
  }
}

}  // namespace paligemma
