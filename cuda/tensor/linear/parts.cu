#include "cuda/tensor/linear/kernels.h"

namespace paligemma::cuda {
namespace {

constexpr int kThreads = 256;

// Thread i owns eight numbers: 32 bytes in, 16 bytes out.
__global__ void round_pack_per_thread(const float* x, bf16* rounded, Index packs) {
  const Index i = Index{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= packs) return;
  const Pack<float> first = as_packs(x)[2 * i], second = as_packs(x)[2 * i + 1];
  const Group<unsigned, 4> out{
      {pack_bf16(first.at[0], first.at[1]), pack_bf16(first.at[2], first.at[3]),
       pack_bf16(second.at[0], second.at[1]), pack_bf16(second.at[2], second.at[3])}};
  reinterpret_cast<Group<unsigned, 4>*>(rounded)[i] = out;
}

// Thread o of row t owns one output. Its parts come from L2, where they were just written.
__global__ void add_parts_per_output(const float* parts, int count, Index T, Index O,
                                     SumEnding<bf16> epilogue) {
  const Index o = Index{blockIdx.x} * kThreads + threadIdx.x, t = blockIdx.y;
  if (o >= O) return;
  float sum = 0.0f;
  for (int p = 0; p < count; ++p) sum += parts[(p * T + t) * O + o];
  epilogue(t, o, sum);
}

}  // namespace

void round_to_bf16(const Stream& stream, const float* x, Index n, bf16* rounded) {
  const Index packs = n / Pack<bf16>::kSize;
  launch({blocks_for(packs, kThreads), kThreads, 0, stream}, round_pack_per_thread, x, rounded,
         packs);
}

void add_parts(const Stream& stream, DeviceView<const float, 3> parts,
               const SumEnding<bf16>& epilogue) {
  const Index T = parts.size(1), O = parts.size(2);
  launch({dim3(blocks_for(O, kThreads), blocks_for(T)), kThreads, 0, stream}, add_parts_per_output,
         parts.data(), static_cast<int>(parts.size(0)), T, O, epilogue);
}

}  // namespace paligemma::cuda
