// RoPE on the GPU, of Gemma 2B's eight query heads of 256. One token is decoding; 276 tokens are a
// 224-pixel picture with a short prompt.
#include "bench/support/cuda_bench.h"
#include "cuda/gemma/rope.h"

namespace paligemma {
namespace {

using cuda::RopeKernel;

void run(benchmark::State& state, RopeKernel kernel) {
  const Index T = state.range(0), D = state.range(1), H = 256;
  const cuda::Stream stream;
  auto x = bench::random<float, 3>(stream, {T, D / H, H}, 1);
  bench::measure(state, stream, {.read_bytes = T * D * 4, .write_bytes = T * D * 4},
                 [&](Index) { rope(stream, 276, 10000.0f, x.view(), kernel); });
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "D"})->Args({1, 2048})->Args({276, 2048});
}

constexpr std::pair<const char*, RopeKernel> kKernels[] = {
    {"thread_per_pair", RopeKernel::thread_per_pair},
    {"thread_per_angle", RopeKernel::thread_per_angle},
    {"thread_per_frequency", RopeKernel::thread_per_frequency},
};

}  // namespace

void bench::list_benchmarks() {
  for (const auto& [name, kernel] : kKernels) {
    add(std::string("rope/") + name + "/f32", run, kernel)->Apply(shapes);
  }
}

}  // namespace paligemma
