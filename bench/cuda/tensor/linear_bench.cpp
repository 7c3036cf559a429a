// Linear on the GPU, of Gemma 2B and of SigLIP. One token is decoding, where memory decides; 276
// tokens are a 224-pixel picture with a short prompt, 256 its patches, where tensor cores do, and the
// yardstick is cuBLASLt's product of the same shape.
#include "bench/support/cublaslt.h"
#include "bench/support/cuda_bench.h"
#include "cuda/tensor/linear.h"

namespace paligemma {
namespace {

using cuda::LinearKernel;

struct Shape {
  Index T, I, O;
};

bench::Work work_of(const cuda::Stream& stream, Shape s, Index weight_bytes, Index copies) {
  bench::Work work{.weight_bytes = weight_bytes,
                   .copies = copies,
                   .read_bytes = s.T * s.I * 4,
                   .write_bytes = s.T * s.O * 4,
                   .flop = 2.0 * static_cast<double>(s.T) * static_cast<double>(s.I * s.O)};
  if (s.T > 1) work.yardstick = bench::product_yardstick(stream, s.T, s.I, s.O);
  if (work.yardstick > 0) work.yardstick_name = "cuBLASLt";
  return work;
}

Shape shape_of(const benchmark::State& state) {
  return {state.range(0), state.range(1), state.range(2)};
}

template <class Weight>
void run(benchmark::State& state, LinearKernel kernel) {
  const Shape s = shape_of(state);
  const cuda::Stream stream;
  const bench::Copies<Weight, 2> weight(stream, {s.O, s.I}, 1);
  const auto x = bench::random<float, 2>(stream, {s.T, s.I}, 2);
  cuda::DeviceBuffer<float, 2> y({s.T, s.O});
  bench::measure(state, stream, work_of(stream, s, weight.bytes(), weight.count()), [&](Index i) {
    linear(stream, x.view(), Linear{weight.at(i)}, y.view(), {}, kernel);
  });
}

// What stands behind the product: the residual stream, or bias and GELU.
void run_add(benchmark::State& state) {
  const Shape s = shape_of(state);
  const cuda::Stream stream;
  const bench::Copies<bf16, 2> weight(stream, {s.O, s.I}, 1);
  const auto x = bench::random<float, 2>(stream, {s.T, s.I}, 2);
  auto y = bench::random<float, 2>(stream, {s.T, s.O}, 3);
  bench::Work work = work_of(stream, s, weight.bytes(), weight.count());
  work.read_bytes += s.T * s.O * 4;
  bench::measure(state, stream, work, [&](Index i) {
    linear(stream, x.view(), Linear{weight.at(i)}, y.view(), {.add = true});
  });
}

void run_gelu(benchmark::State& state) {
  const Shape s = shape_of(state);
  const cuda::Stream stream;
  const bench::Copies<bf16, 2> weight(stream, {s.O, s.I}, 1);
  const auto bias = bench::random<bf16, 1>(stream, {s.O}, 4);
  const auto x = bench::random<float, 2>(stream, {s.T, s.I}, 2);
  cuda::DeviceBuffer<float, 2> y({s.T, s.O});
  bench::measure(state, stream, work_of(stream, s, weight.bytes(), weight.count()), [&](Index i) {
    linear(stream, x.view(), Linear{weight.at(i), bias.view()}, y.view(),
           {.activation = GeluForm::tanh});
  });
}

void run_cublaslt(benchmark::State& state) {
  const Shape s = shape_of(state);
  const cuda::Stream stream;
  const double seconds = bench::product_yardstick(stream, s.T, s.I, s.O);
  if (seconds == 0) return state.SkipWithError("there is no cuBLASLt");
  bench::measure_known(state, stream, work_of(stream, s, s.I * s.O * 2, 1), seconds);
}

// Q, K and V; the output; gate or up; down.
void decode(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "I", "O"})
      ->Args({1, 2048, 2560})
      ->Args({1, 2048, 2048})
      ->Args({1, 2048, 16384})
      ->Args({1, 16384, 2048});
}
void vocabulary(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "I", "O"})->Args({1, 2048, 257216});
}
// The same, then SigLIP's.
void prefill(benchmark::internal::Benchmark* b) {
  b->ArgNames({"T", "I", "O"})
      ->Args({276, 2048, 2560})
      ->Args({276, 2048, 2048})
      ->Args({276, 2048, 16384})
      ->Args({276, 16384, 2048})
      ->Args({256, 1152, 1152})
      ->Args({256, 1152, 4304})
      ->Args({256, 4304, 1152});
}

}  // namespace

void bench::list_benchmarks() {
  add("linear/thread_per_output/bf16", run<bf16>, LinearKernel::thread_per_output)->Apply(decode);
  add("linear/warp_per_output/f32", run<float>, LinearKernel::warp_per_output)->Apply(decode);
  add("linear/warp_per_output/bf16", run<bf16>, LinearKernel::warp_per_output)
      ->Apply(decode)
      ->Apply(vocabulary);
  add("linear/cublaslt/bf16", run_cublaslt)->Apply(decode)->Apply(vocabulary);
  add("linear/thread_per_output/bf16", run<bf16>, LinearKernel::thread_per_output)
      ->ArgNames({"T", "I", "O"})
      ->Args({276, 2048, 2048});
  add("linear/tiled/f32", run<float>, LinearKernel::tiled)->Apply(prefill);
  add("linear/tiled/bf16", run<bf16>, LinearKernel::tiled)->Apply(prefill);
  add("linear/tensor_core/bf16", run<bf16>, LinearKernel::tensor_core)->Apply(prefill);
  add("linear/warpgroup/bf16", run<bf16>, LinearKernel::warpgroup)->Apply(prefill);
  add("linear/cublaslt/bf16", run_cublaslt)->Apply(prefill);
  add("linear/add/bf16", run_add)
      ->ArgNames({"T", "I", "O"})
      ->Args({1, 16384, 2048})
      ->Args({276, 16384, 2048});
  add("linear/gelu/bf16", run_gelu)->ArgNames({"T", "I", "O"})->Args({256, 1152, 4304});
}

}  // namespace paligemma
