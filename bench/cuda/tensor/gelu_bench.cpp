// GELU on the GPU, of the 256 patches of a 224-pixel picture, 4304 wide as in SigLIP's MLP.
#include "bench/support/cuda_bench.h"
#include "cuda/tensor/gelu.h"

namespace paligemma {
namespace {

using cuda::GeluKernel;

void run(benchmark::State& state, GeluKernel kernel) {
  const Index T = state.range(0), D = state.range(1);
  const cuda::Stream stream;
  const auto x = bench::random<float, 2>(stream, {T, D}, 1);
  cuda::DeviceBuffer<float, 2> y({T, D});
  bench::measure(state, stream, {.read_bytes = T * D * 4, .write_bytes = T * D * 4},
                 [&](Index) { gelu(stream, GeluForm::tanh, x.view(), y.view(), kernel); });
}

void shapes(benchmark::internal::Benchmark* b) { b->ArgNames({"T", "D"})->Args({256, 4304}); }

constexpr std::pair<const char*, GeluKernel> kKernels[] = {
    {"thread_per_number", GeluKernel::thread_per_number},
    {"thread_per_pack", GeluKernel::thread_per_pack},
};

}  // namespace

void bench::list_benchmarks() {
  for (const auto& [name, kernel] : kKernels) {
    add(std::string("gelu/") + name + "/f32", run, kernel)->Apply(shapes);
  }
}

}  // namespace paligemma
