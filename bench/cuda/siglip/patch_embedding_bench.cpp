// Patch embedding on the GPU: a 224-pixel picture in patches of 14. The yardstick is cuBLASLt's product
// of patches that were rows already.
#include "bench/support/cublaslt.h"
#include "bench/support/cuda_bench.h"
#include "cuda/siglip/patch_embedding.h"

namespace paligemma {
namespace {

using cuda::PatchEmbeddingKernel;

template <class Weight>
void run(benchmark::State& state, PatchEmbeddingKernel kernel) {
  constexpr Index kPatch = 14, kInputs = kPatch * kPatch * 3;
  const Index side = state.range(0), D = state.range(1);
  const Index L = (side / kPatch) * (side / kPatch);
  const cuda::Stream stream;
  const auto pixels = bench::random<float, 3>(stream, {side, side, 3}, 1);
  const bench::Copies<Weight, 2> weight(stream, {D, kInputs}, 2);
  const auto bias = bench::random<Weight, 1>(stream, {D}, 3);
  cuda::DeviceBuffer<float, 2> y({L, D});
  bench::Work work{.weight_bytes = weight.bytes(),
                   .copies = weight.count(),
                   .read_bytes = side * side * 3 * 4,
                   .write_bytes = L * D * 4,
                   .flop = 2.0 * static_cast<double>(L) * static_cast<double>(kInputs * D)};
  work.yardstick = bench::product_yardstick(stream, L, kInputs, D);
  if (work.yardstick > 0) work.yardstick_name = "cuBLASLt";
  bench::measure(state, stream, work, [&](Index i) {
    patch_embedding(stream, pixels.view(), weight.at(i), bias.view(), kPatch, y.view(), kernel);
  });
}

void shapes(benchmark::internal::Benchmark* b) { b->ArgNames({"side", "D"})->Args({224, 1152}); }

constexpr std::pair<const char*, PatchEmbeddingKernel> kKernels[] = {
    {"thread_per_output", PatchEmbeddingKernel::thread_per_output},
    {"unfold", PatchEmbeddingKernel::unfold},
};

}  // namespace

void bench::list_benchmarks() {
  for (const auto& [name, kernel] : kKernels) {
    add(std::string("patch_embedding/") + name + "/f32", run<float>, kernel)->Apply(shapes);
    add(std::string("patch_embedding/") + name + "/bf16", run<bf16>, kernel)->Apply(shapes);
  }
}

}  // namespace paligemma
