// repeat_kv on the GPU, of Gemma 2B: one head of 256 for eight. Attention does not call it.
#include "bench/support/cuda_bench.h"
#include "cuda/gemma/repeat_kv.h"

namespace paligemma {
namespace {

using cuda::RepeatKvKernel;

void run(benchmark::State& state, RepeatKvKernel kernel) {
  constexpr Index kHeads = 8, kShared = 1, H = 256;
  const Index T = state.range(0);
  const cuda::Stream stream;
  const auto x = bench::random<float, 3>(stream, {T, kShared, H}, 1);
  cuda::DeviceBuffer<float, 3> y({T, kHeads, H});
  bench::measure(state, stream,
                 {.read_bytes = T * kShared * H * 4, .write_bytes = T * kHeads * H * 4},
                 [&](Index) { repeat_kv(stream, x.view(), y.view(), kernel); });
}

constexpr std::pair<const char*, RepeatKvKernel> kKernels[] = {
    {"thread_per_number", RepeatKvKernel::thread_per_number},
    {"thread_per_pack", RepeatKvKernel::thread_per_pack},
};

}  // namespace

void bench::list_benchmarks() {
  for (const auto& [name, kernel] : kKernels) {
    add(std::string("repeat_kv/") + name + "/f32", run, kernel)->ArgNames({"T"})->Args({276});
  }
}

}  // namespace paligemma
