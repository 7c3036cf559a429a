// Sinusoidal positions on the GPU: one token of width 512, and 1024.
#include <numeric>

#include "bench/support/cuda_bench.h"
#include "cuda/zeta/sinusoid.h"

namespace paligemma {
namespace {

using cuda::SinusoidKernel;

void run(benchmark::State& state, SinusoidKernel kernel) {
  const Index T = state.range(0), D = state.range(1);
  const cuda::Stream stream;
  Buffer<int, 1> positions({T});
  std::iota(positions.view().data(), positions.view().data() + T, 0);
  const auto there = to_device(stream, positions.view());
  auto y = bench::random<float, 2>(stream, {T, D}, 1);
  bench::measure(state, stream, {.read_bytes = T * (D + 1) * 4, .write_bytes = T * D * 4},
                 [&](Index) { sinusoid(stream, there.view(), 0.04f, y.view(), kernel); });
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "D"})->Args({1, 512})->Args({1024, 512});
}

constexpr std::pair<const char*, SinusoidKernel> kKernels[] = {
    {"thread_per_number", SinusoidKernel::thread_per_number},
    {"thread_per_angle", SinusoidKernel::thread_per_angle},
};

}  // namespace

void bench::list_benchmarks() {
  for (const auto& [name, kernel] : kKernels) {
    add(std::string("sinusoid/") + name + "/f32", run, kernel)->Apply(shapes);
  }
}

}  // namespace paligemma
