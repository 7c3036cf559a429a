// The projector on the GPU: the 256 rows of a 224-pixel picture, into the width of Gemma 2B.
#include "bench/support/cublaslt.h"
#include "bench/support/cuda_bench.h"
#include "cuda/paligemma/projector.h"

namespace paligemma {
namespace {

template <class Weight>
void run(benchmark::State& state) {
  const Index T = state.range(0), I = state.range(1), O = state.range(2);
  const cuda::Stream stream;
  const bench::Copies<Weight, 2> weight(stream, {O, I}, 1);
  const auto bias = bench::random<Weight, 1>(stream, {O}, 2);
  const auto x = bench::random<float, 2>(stream, {T, I}, 3);
  cuda::DeviceBuffer<float, 2> y({T, O});
  bench::Work work{.weight_bytes = weight.bytes(),
                   .copies = weight.count(),
                   .read_bytes = T * I * 4,
                   .write_bytes = T * O * 4,
                   .flop = 2.0 * static_cast<double>(T) * static_cast<double>(I * O)};
  work.yardstick = bench::product_yardstick(stream, T, I, O);
  if (work.yardstick > 0) work.yardstick_name = "cuBLASLt";
  bench::measure(state, stream, work, [&](Index i) {
    cuda::projector(stream, x.view(), weight.at(i), bias.view(), y.view());
  });
}

void shapes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "I", "O"})->Args({256, 1152, 2048});
}

}  // namespace

void bench::list_benchmarks() {
  add("projector/best/f32", run<float>)->Apply(shapes);
  add("projector/best/bf16", run<bf16>)->Apply(shapes);
}

}  // namespace paligemma
