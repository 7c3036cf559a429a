// MaxSim on the GPU: a query of 24 rows and pages as ColPali makes them.
#include "bench/support/cuda_bench.h"
#include "cuda/colpali/max_sim.h"

namespace paligemma {
namespace {

using cuda::MaxSimKernel;

constexpr Index kRows = 1030, kWidth = 128;

template <class Row>
void run(benchmark::State& state, MaxSimKernel kernel) {
  const Index T = state.range(0), P = state.range(1), R = P * kRows;
  const cuda::Stream stream;
  const auto q = bench::random<float, 2>(stream, {T, kWidth}, 1);
  const bench::Copies<Row, 2> rows(stream, {R, kWidth}, 2);
  Buffer<Index, 1> first({P + 1});
  for (Index p = 0; p <= P; ++p) first.view()(p) = p * kRows;
  const auto first_there = cuda::to_device(stream, first.view());
  cuda::DeviceBuffer<float, 1> scores({P});
  const Index bytes = R * kWidth * static_cast<Index>(sizeof(Row));
  bench::measure(
      state, stream, {.weight_bytes = bytes, .copies = rows.count(), .write_bytes = P * 4},
      [&](Index i) {
        max_sim<Row>(stream, q.view(), rows.at(i), first_there.view(), scores.view(), kernel);
      });
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "P"})->Args({1, 1000})->Args({24, 1000});
}

constexpr std::pair<const char*, MaxSimKernel> kKernels[] = {
    {"thread_per_row", MaxSimKernel::thread_per_row},
    {"tiled", MaxSimKernel::tiled},
};

}  // namespace

void bench::list_benchmarks() {
  for (const auto& [name, kernel] : kKernels) {
    add(std::string("max_sim/") + name + "/bf16", run<bf16>, kernel)->Apply(shapes);
  }
}

}  // namespace paligemma
