// Softmax on the GPU. A row is what one query and one head need: 276 keys are a 224-pixel picture with
// a short prompt. 8 rows are one decoded token of Gemma 2B, 2208 its prefill, 4096 one layer of
// SigLIP; one row of 257216 are the probabilities of the next token.
#include "bench/support/cuda_bench.h"
#include "cuda/tensor/softmax.h"

namespace paligemma {
namespace {

using cuda::SoftmaxKernel;

void run(benchmark::State& state, SoftmaxKernel kernel) {
  const Index T = state.range(0), S = state.range(1);
  const cuda::Stream stream;
  const auto x = bench::random<float, 2>(stream, {T, S}, 1);
  cuda::DeviceBuffer<float, 2> y({T, S});
  bench::measure(state, stream, {.read_bytes = T * S * 4, .write_bytes = T * S * 4},
                 [&](Index) { softmax(stream, x.view(), y.view(), kernel); });
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "S"})->Args({8, 276})->Args({2208, 276})->Args({4096, 256})->Args({1, 257216});
}

constexpr std::pair<const char*, SoftmaxKernel> kKernels[] = {
    {"thread_per_row", SoftmaxKernel::thread_per_row},
    {"warp_per_row", SoftmaxKernel::warp_per_row},
    {"block_per_row", SoftmaxKernel::block_per_row},
    {"online", SoftmaxKernel::online},
};

}  // namespace

void bench::list_benchmarks() {
  for (const auto& [name, kernel] : kKernels) {
    add(std::string("softmax/") + name + "/f32", run, kernel)->Apply(shapes);
  }
}

}  // namespace paligemma
