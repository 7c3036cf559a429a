// Multiply on the CPU: a learned scale of each feature, and the gate of a SwiGLU, for one token and for a
// picture with its prompt. It reads two numbers and writes one, where the copy reads one and writes one.
#include <benchmark/benchmark.h>

#include "bench/support/copy.h"
#include "tensor/multiply.h"
#include "tests/support/data.h"

namespace paligemma {
namespace {

template <Gate gate>
void multiply_by(benchmark::State& state) {
  const Index T = state.range(0), D = state.range(1);
  const auto a = test::random<float, 2>({T, D}, 1);
  auto x = test::random<float, 2>({T, D}, 2);
  for (auto _ : state) {
    multiply(reference, View<const float, 2>(a.view()), {gate}, x.view());
    benchmark::ClobberMemory();
  }
  bench::count_bytes(state, 3 * T * D * 4);
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "D"})
      ->Args({1, 2048})
      ->Args({276, 2048})
      ->Unit(benchmark::kMicrosecond)
      ->UseRealTime();
}

BENCHMARK(bench::copy)->Name("multiply/copy/f32")->Apply(shapes);
BENCHMARK(multiply_by<Gate::identity>)->Name("multiply/reference/identity")->Apply(shapes);
BENCHMARK(multiply_by<Gate::sigmoid>)->Name("multiply/reference/sigmoid")->Apply(shapes);

}  // namespace
}  // namespace paligemma
