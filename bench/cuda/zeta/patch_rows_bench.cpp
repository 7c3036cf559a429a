// Patch rows on the GPU, of PalmE's picture: 256 pixels a side in patches of 32.
#include "bench/support/cuda_bench.h"
#include "cuda/zeta/patch_rows.h"

namespace paligemma {
namespace {

using cuda::PatchRowsKernel;

void run(benchmark::State& state, PatchRowsKernel kernel) {
  const Index L = state.range(0), D = state.range(1), R = 256, P = 32;
  const cuda::Stream stream;
  const auto pixels = bench::random<float, 3>(stream, {R, R, 3}, 1);
  cuda::DeviceBuffer<float, 2> y({L, D});
  bench::measure(state, stream, {.read_bytes = L * D * 4, .write_bytes = L * D * 4},
                 [&](Index) { patch_rows(stream, pixels.view(), P, y.view(), kernel); });
}

void shapes(benchmark::internal::Benchmark* b) { b->ArgNames({"L", "D"})->Args({64, 3072}); }

constexpr std::pair<const char*, PatchRowsKernel> kKernels[] = {
    {"thread_per_number", PatchRowsKernel::thread_per_number},
    {"thread_per_pack", PatchRowsKernel::thread_per_pack},
};

}  // namespace

void bench::list_benchmarks() {
  for (const auto& [name, kernel] : kKernels) {
    add(std::string("patch_rows/") + name + "/f32", run, kernel)->Apply(shapes);
  }
}

}  // namespace paligemma
