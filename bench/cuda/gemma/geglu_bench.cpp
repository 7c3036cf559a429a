// GeGLU on the GPU, 16384 wide as in Gemma 2B. One token is decoding; 276 tokens are a 224-pixel
// picture with a short prompt.
#include "bench/support/cuda_bench.h"
#include "cuda/gemma/geglu.h"

namespace paligemma {
namespace {

using cuda::GegluKernel;

void run(benchmark::State& state, GegluKernel kernel) {
  const Index T = state.range(0), D = state.range(1);
  const cuda::Stream stream;
  const auto gate = bench::random<float, 2>(stream, {T, D}, 1);
  const auto up = bench::random<float, 2>(stream, {T, D}, 2);
  cuda::DeviceBuffer<float, 2> y({T, D});
  bench::measure(
      state, stream, {.read_bytes = 2 * T * D * 4, .write_bytes = T * D * 4},
      [&](Index) { geglu(stream, GeluForm::tanh, gate.view(), up.view(), y.view(), kernel); });
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "D"})->Args({1, 16384})->Args({276, 16384});
}

constexpr std::pair<const char*, GegluKernel> kKernels[] = {
    {"thread_per_number", GegluKernel::thread_per_number},
    {"thread_per_pack", GegluKernel::thread_per_pack},
};

}  // namespace

void bench::list_benchmarks() {
  for (const auto& [name, kernel] : kKernels) {
    add(std::string("geglu/") + name + "/f32", run, kernel)->Apply(shapes);
  }
}

}  // namespace paligemma
