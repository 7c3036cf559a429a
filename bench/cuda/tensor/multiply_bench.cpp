// Multiply on the GPU: the gate of a decoded token, and of a prompt with its picture.
#include "bench/support/cuda_bench.h"
#include "cuda/tensor/multiply.h"

namespace paligemma {
namespace {

void run(benchmark::State& state, Gate gate) {
  const Index T = state.range(0), D = state.range(1);
  const cuda::Stream stream;
  const auto a = bench::random<float, 2>(stream, {T, D}, 1);
  auto x = bench::random<float, 2>(stream, {T, D}, 2);
  bench::measure(
      state, stream, {.read_bytes = 2 * T * D * 4, .write_bytes = T * D * 4},
      [&](Index) { multiply(stream, DeviceView<const float, 2>(a.view()), {gate}, x.view()); });
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "D"})->Args({1, 2048})->Args({276, 2048});
}

}  // namespace

void bench::list_benchmarks() {
  add("multiply/identity/f32", run, Gate::identity)->Apply(shapes);
  add("multiply/sigmoid/f32", run, Gate::sigmoid)->Apply(shapes);
}

}  // namespace paligemma
