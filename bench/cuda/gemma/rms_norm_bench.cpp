// RMSNorm on the GPU. One token is decoding; 276 tokens are a 224-pixel picture with a short prompt.
#include "bench/support/cuda_bench.h"
#include "cuda/gemma/rms_norm.h"

namespace paligemma {
namespace {

using cuda::RmsNormKernel;

template <class Weight>
void run(benchmark::State& state, RmsNormKernel kernel) {
  const Index T = state.range(0), D = state.range(1);
  const cuda::Stream stream;
  const auto x = bench::random<float, 2>(stream, {T, D}, 1);
  const auto scale = bench::random<Weight, 1>(stream, {D}, 2);
  cuda::DeviceBuffer<float, 2> y({T, D});
  bench::measure(state, stream,
                 {.read_bytes = T * D * 4 + D * Index{sizeof(Weight)}, .write_bytes = T * D * 4},
                 [&](Index) {
                   rms_norm(stream, x.view(), scale.view(), {1e-6f, 1}, y.view(), kernel);
                 });
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "D"})->Args({1, 2048})->Args({276, 2048});
}

constexpr std::pair<const char*, RmsNormKernel> kKernels[] = {
    {"thread_per_row", RmsNormKernel::thread_per_row},
    {"block_per_row", RmsNormKernel::block_per_row},
    {"block_per_row_vec", RmsNormKernel::block_per_row_vec},
};

}  // namespace

void bench::list_benchmarks() {
  for (const auto& [name, kernel] : kKernels) {
    add(std::string("rms_norm/") + name + "/f32", run<float>, kernel)->Apply(shapes);
    add(std::string("rms_norm/") + name + "/bf16", run<bf16>, kernel)->Apply(shapes);
  }
}

}  // namespace paligemma
