// Unit rows on the GPU: the eight heads of PalmE's queries, of one token and of 64.
#include "bench/support/cuda_bench.h"
#include "cuda/tensor/unit_rows.h"

namespace paligemma {
namespace {

using cuda::UnitRowsKernel;

void run(benchmark::State& state, UnitRowsKernel kernel) {
  const Index T = state.range(0), D = state.range(1);
  const cuda::Stream stream;
  const auto x = bench::random<float, 2>(stream, {T, D}, 1);
  cuda::DeviceBuffer<float, 2> y({T, D});
  bench::measure(state, stream, {.read_bytes = T * D * 4, .write_bytes = T * D * 4}, [&](Index) {
    unit_rows<float>(stream, x.view(), {.groups = D / 64}, {}, y.view(), kernel);
  });
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "D"})->Args({1, 512})->Args({64, 512});
}

constexpr std::pair<const char*, UnitRowsKernel> kKernels[] = {
    {"thread_per_group", UnitRowsKernel::thread_per_group},
    {"warp_per_group", UnitRowsKernel::warp_per_group},
};

}  // namespace

void bench::list_benchmarks() {
  for (const auto& [name, kernel] : kKernels) {
    add(std::string("unit_rows/") + name + "/f32", run, kernel)->Apply(shapes);
  }
}

}  // namespace paligemma
