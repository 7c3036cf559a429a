// Rotary positions with xPos on the GPU: the first 32 features of PalmE's eight heads, of one token and of
// 1024.
#include "bench/support/cuda_bench.h"
#include "cuda/zeta/rotary.h"

namespace paligemma {
namespace {

using cuda::RotaryKernel;

void run(benchmark::State& state, RotaryKernel kernel) {
  const Index T = state.range(0), D = state.range(1), H = 64, R = 32, N = D / R;
  const cuda::Stream stream;
  auto heads = bench::random<float, 3>(stream, {T, N, H}, 1);
  const DeviceView<float, 3> x(heads.view().data(), {T, N, R}, {N * H, H, 1});
  const RotaryRule rule{.xpos_scale_base = 512, .xpos_centre = T / 2};
  bench::measure(state, stream, {.read_bytes = T * D * 4, .write_bytes = T * D * 4}, [&](Index i) {
    const Turn turn = i % 2 == 0 ? Turn::query : Turn::key;  // which undo each other
    rotary(stream, 0, rule, turn, x, kernel);
  });
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "D"})->Args({1, 256})->Args({1024, 256});
}

constexpr std::pair<const char*, RotaryKernel> kKernels[] = {
    {"thread_per_pair", RotaryKernel::thread_per_pair},
    {"thread_per_angle", RotaryKernel::thread_per_angle},
};

}  // namespace

void bench::list_benchmarks() {
  for (const auto& [name, kernel] : kKernels) {
    add(std::string("rotary/") + name + "/f32", run, kernel)->Apply(shapes);
  }
}

}  // namespace paligemma
