// What a decoder block of Gemma 2B fuses for one decoded token: memory decides.
#include "bench/support/cuda_bench.h"
#include "cuda/gemma/decoder_block.h"

namespace paligemma {
namespace {

constexpr Index D = 2048, kHeads = 8, kHeadSize = 256, F = 16384, kCapacity = 512;

template <class Weight>
void run_qkv(benchmark::State& state) {
  const cuda::Stream stream;
  const bench::Copies<Weight, 2> wq(stream, {kHeads * kHeadSize, D}, 1),
      wk(stream, {kHeadSize, D}, 2), wv(stream, {kHeadSize, D}, 3);
  const auto x = bench::random<float, 2>(stream, {1, D}, 4);
  const auto scale = bench::random<Weight, 1>(stream, {D}, 5);
  const Index at = 300;
  const auto position = to_device(stream, View<const Index, 1>(&at, {1}));
  cuda::DeviceBuffer<float, 2> q({1, kHeads * kHeadSize});
  cuda::DeviceBuffer<float, 3> keys({kCapacity, 1, kHeadSize}), values({kCapacity, 1, kHeadSize});
  bench::measure(state, stream,
                 {.weight_bytes = wq.bytes() + wk.bytes() + wv.bytes(),
                  .copies = wq.count(),
                  .read_bytes = D * 4,
                  .write_bytes = (kHeads + 2) * kHeadSize * 4},
                 [&](Index i) {
                   norm_qkv_rope_append(stream, x.view(), scale.view(), {1e-6f, 1}, wq.at(i),
                                        wk.at(i), wv.at(i), 10000, position.view(), q.view(),
                                        keys.view(), values.view());
                 });
}

template <class Weight>
void run_gate_up(benchmark::State& state) {
  const cuda::Stream stream;
  const bench::Copies<Weight, 2> gate(stream, {F, D}, 1), up(stream, {F, D}, 2);
  const auto x = bench::random<float, 2>(stream, {1, D}, 3);
  const auto scale = bench::random<Weight, 1>(stream, {D}, 4);
  cuda::DeviceBuffer<float, 2> y({1, F});
  bench::measure(state, stream,
                 {.weight_bytes = gate.bytes() + up.bytes(),
                  .copies = gate.count(),
                  .read_bytes = D * 4,
                  .write_bytes = F * 4},
                 [&](Index i) {
                   norm_gate_up_geglu(stream, x.view(), scale.view(), {1e-6f, 1}, gate.at(i),
                                      up.at(i), GeluForm::tanh, y.view());
                 });
}

}  // namespace

void bench::list_benchmarks() {
  add("norm_qkv_rope_append/f32", run_qkv<float>);
  add("norm_qkv_rope_append/bf16", run_qkv<bf16>);
  add("norm_gate_up_geglu/f32", run_gate_up<float>);
  add("norm_gate_up_geglu/bf16", run_gate_up<bf16>);
}

}  // namespace paligemma
