// Gate, up and their product as one operation on the GPU, of Gemma 2B. One token is decoding; 276
// tokens are a 224-pixel picture with a short prompt, and the yardstick is cuBLASLt's product with as
// many rows of weights.
#include "bench/support/cublaslt.h"
#include "bench/support/cuda_bench.h"
#include "cuda/gemma/geglu_mlp.h"

namespace paligemma {
namespace {

using cuda::LinearKernel;

template <class Weight>
void run(benchmark::State& state, LinearKernel kernel) {
  const Index T = state.range(0), I = state.range(1), F = state.range(2);
  const cuda::Stream stream;
  const bench::Copies<Weight, 2> gate_and_up(stream, {2 * F, I}, 1);
  const auto x = bench::random<float, 2>(stream, {T, I}, 2);
  cuda::DeviceBuffer<float, 2> y({T, F});
  bench::Work work{.weight_bytes = gate_and_up.bytes(),
                   .copies = gate_and_up.count(),
                   .read_bytes = T * I * 4,
                   .write_bytes = T * F * 4,
                   .flop = 4.0 * static_cast<double>(T) * static_cast<double>(I * F)};
  if (T > 1) work.yardstick = bench::product_yardstick(stream, T, I, 2 * F);
  if (work.yardstick > 0) work.yardstick_name = "cuBLASLt";
  bench::measure(state, stream, work, [&](Index i) {
    const auto both = gate_and_up.at(i);
    linear_geglu(stream, x.view(), both.rows(0, F), both.rows(F, 2 * F), GeluForm::tanh, y.view(),
                 kernel);
  });
}

void decode(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "I", "F"})->Args({1, 2048, 16384});
}
void prefill(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "I", "F"})->Args({276, 2048, 16384});
}

}  // namespace

void bench::list_benchmarks() {
  add("geglu_mlp/warp_per_output/f32", run<float>, LinearKernel::warp_per_output)->Apply(decode);
  add("geglu_mlp/warp_per_output/bf16", run<bf16>, LinearKernel::warp_per_output)->Apply(decode);
  add("geglu_mlp/tiled/bf16", run<bf16>, LinearKernel::tiled)->Apply(prefill);
  add("geglu_mlp/tensor_core/bf16", run<bf16>, LinearKernel::tensor_core)->Apply(prefill);
  add("geglu_mlp/warpgroup/bf16", run<bf16>, LinearKernel::warpgroup)->Apply(prefill);
}

}  // namespace paligemma
