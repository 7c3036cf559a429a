// Residual add on the GPU: a decoded token, a prompt with its picture, the patches of a picture.
#include "bench/support/cuda_bench.h"
#include "cuda/tensor/residual_add.h"

namespace paligemma {
namespace {

using cuda::ResidualAddKernel;

void run(benchmark::State& state, ResidualAddKernel kernel) {
  const Index T = state.range(0), D = state.range(1);
  const cuda::Stream stream;
  const auto branch = bench::random<float, 2>(stream, {T, D}, 1);
  auto x = bench::random<float, 2>(stream, {T, D}, 2);
  bench::measure(state, stream, {.read_bytes = 2 * T * D * 4, .write_bytes = T * D * 4},
                 [&](Index) { residual_add(stream, branch.view(), x.view(), kernel); });
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "D"})->Args({1, 2048})->Args({276, 2048})->Args({256, 1152});
}

constexpr std::pair<const char*, ResidualAddKernel> kKernels[] = {
    {"thread_per_number", ResidualAddKernel::thread_per_number},
    {"thread_per_pack", ResidualAddKernel::thread_per_pack},
};

}  // namespace

void bench::list_benchmarks() {
  for (const auto& [name, kernel] : kKernels) {
    add(std::string("residual_add/") + name + "/f32", run, kernel)->Apply(shapes);
  }
}

}  // namespace paligemma
