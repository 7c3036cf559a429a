// The prefix-LM mask on the GPU: one token is decoding, 276 a 224-pixel picture with a short prompt.
#include "bench/support/cuda_bench.h"
#include "cuda/gemma/prefix_lm_mask.h"

namespace paligemma {
namespace {

void run(benchmark::State& state) {
  const Index T = state.range(0);
  const cuda::Stream stream;
  cuda::DeviceBuffer<KeyRange, 1> visible({T});
  bench::measure(state, stream, {.write_bytes = T * Index{sizeof(KeyRange)}},
                 [&](Index) { prefix_lm_mask(stream, 0, T, kNoWindow, visible.view()); });
}

}  // namespace

void bench::list_benchmarks() {
  add("prefix_lm_mask/thread_per_query/i64", run)->ArgNames({"T"})->Args({1})->Args({276});
}

}  // namespace paligemma
