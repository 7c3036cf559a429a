// Sampling on the GPU, from the logits of PaliGemma's 257216 tokens: greedy, and drawn from the 40 most
// probable tokens, or from those that hold nine tenths.
#include "bench/support/cuda_bench.h"
#include "cuda/gemma/sampler.h"

namespace paligemma {
namespace {

using cuda::SamplerKernel;

void run(benchmark::State& state, SamplerKernel kernel, SamplerOptions options) {
  const Index V = state.range(0);
  const cuda::Stream stream;
  const auto logits = bench::random<float, 1>(stream, {V}, 1);
  Buffer<std::uint64_t, 1> step({1});
  step.view()(0) = 7;
  const auto step_there = to_device(stream, step.view());
  cuda::DeviceBuffer<cuda::Sampled, 1> out({1});
  bench::measure(state, stream, {.read_bytes = V * 4, .write_bytes = Index{sizeof(cuda::Sampled)}},
                 [&](Index) {
                   sample(stream, logits.view(), options, std::as_const(step_there).view(),
                          out.view(), kernel);
                 });
}

void shapes(benchmark::internal::Benchmark* b) { b->ArgNames({"V"})->Args({257216}); }

constexpr std::pair<const char*, SamplerKernel> kKernels[] = {
    {"one_block", SamplerKernel::one_block},
    {"many_blocks", SamplerKernel::many_blocks},
};
constexpr std::pair<const char*, SamplerOptions> kWays[] = {
    {"greedy", {}},
    {"top_k", {.temperature = 1, .top_k = 40}},
    {"top_p", {.temperature = 1, .top_p = 0.9f}},
};

}  // namespace

void bench::list_benchmarks() {
  add("sampler/one_thread/greedy", run, SamplerKernel::one_thread, SamplerOptions{})->Apply(shapes);
  for (const auto& [name, kernel] : kKernels) {
    for (const auto& [way, options] : kWays) {
      add(std::string("sampler/") + name + "/" + way, run, kernel, options)->Apply(shapes);
    }
  }
}

}  // namespace paligemma
