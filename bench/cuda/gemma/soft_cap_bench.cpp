// Soft cap on the GPU: the logits of one row, and the attention scores of one decoded token.
#include "bench/support/cuda_bench.h"
#include "cuda/gemma/soft_cap.h"

namespace paligemma {
namespace {

using cuda::SoftCapKernel;

void run(benchmark::State& state, SoftCapKernel kernel) {
  const Index T = state.range(0), D = state.range(1);
  const cuda::Stream stream;
  auto x = bench::random<float, 2>(stream, {T, D}, 1);
  bench::measure(state, stream, {.read_bytes = T * D * 4, .write_bytes = T * D * 4},
                 [&](Index) { soft_cap(stream, 30.0f, x.view(), kernel); });
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "D"})->Args({1, 257216})->Args({8, 276});
}

constexpr std::pair<const char*, SoftCapKernel> kKernels[] = {
    {"thread_per_number", SoftCapKernel::thread_per_number},
    {"thread_per_pack", SoftCapKernel::thread_per_pack},
};

}  // namespace

void bench::list_benchmarks() {
  for (const auto& [name, kernel] : kKernels) {
    add(std::string("soft_cap/") + name + "/f32", run, kernel)->Apply(shapes);
  }
}

}  // namespace paligemma
