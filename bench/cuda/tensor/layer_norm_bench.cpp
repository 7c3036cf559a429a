// LayerNorm on the GPU, of the 256 patches of a 224-pixel picture.
#include "bench/support/cuda_bench.h"
#include "cuda/tensor/layer_norm.h"

namespace paligemma {
namespace {

using cuda::LayerNormKernel;

template <class Weight>
void run(benchmark::State& state, LayerNormKernel kernel) {
  const Index T = state.range(0), D = state.range(1);
  const cuda::Stream stream;
  const auto x = bench::random<float, 2>(stream, {T, D}, 1);
  const auto scale = bench::random<Weight, 1>(stream, {D}, 2);
  const auto bias = bench::random<Weight, 1>(stream, {D}, 3);
  cuda::DeviceBuffer<float, 2> y({T, D});
  bench::measure(
      state, stream,
      {.read_bytes = T * D * 4 + 2 * D * Index{sizeof(Weight)}, .write_bytes = T * D * 4},
      [&](Index) {
        layer_norm(stream, x.view(), scale.view(), bias.view(), 1e-6f, y.view(), kernel);
      });
}

void shapes(benchmark::internal::Benchmark* b) { b->ArgNames({"T", "D"})->Args({256, 1152}); }

constexpr std::pair<const char*, LayerNormKernel> kKernels[] = {
    {"thread_per_row", LayerNormKernel::thread_per_row},
    {"block_per_row", LayerNormKernel::block_per_row},
    {"block_per_row_vec", LayerNormKernel::block_per_row_vec},
};

}  // namespace

void bench::list_benchmarks() {
  for (const auto& [name, kernel] : kKernels) {
    add(std::string("layer_norm/") + name + "/f32", run<float>, kernel)->Apply(shapes);
    add(std::string("layer_norm/") + name + "/bf16", run<bf16>, kernel)->Apply(shapes);
  }
}

}  // namespace paligemma
