#include "cuda/core/gpu.h"
#include "cuda/core/pack.h"
#include "cuda/gemma/geglu.h"

namespace paligemma::cuda {
namespace {

constexpr int kThreads = 256;

// Kernel 1, thread_per_number. Thread i owns number i: two loads, a tanh, a store.
__global__ void geglu_thread_per_number(GeluForm form, const float* gate, const float* up, float* y,
                                        Index n) {
  const Index i = Index{blockIdx.x} * kThreads + threadIdx.x;
  if (i < n) y[i] = gelu(form, gate[i]) * up[i];
}

// Kernel 2, thread_per_pack. Thread i owns four neighbours: a quarter of the loads and stores, and the
// load of `up` is under way while the four tanh are computed.
__global__ void geglu_thread_per_pack(GeluForm form, const Pack<float>* gate, const Pack<float>* up,
                                      Pack<float>* y, Index packs) {
  const Index i = Index{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= packs) return;
  Pack<float> numbers = gate[i];
  const Pack<float> factors = up[i];
  for (int k = 0; k < Pack<float>::kSize; ++k) {
    numbers.at[k] = gelu(form, numbers.at[k]) * factors.at[k];
  }
  y[i] = numbers;
}

}  // namespace

void geglu(const Stream& stream, GeluForm form, DeviceView<const float, 2> gate,
           DeviceView<const float, 2> up, DeviceView<float, 2> y, GegluKernel kernel) {
  PG_CHECK(up.shape() == gate.shape() && y.shape() == gate.shape(),
           "gate " + shape_text(gate) + ", up " + shape_text(up) + ", y " + shape_text(y));
  PG_CHECK(gate.is_row_major() && up.is_row_major() && y.is_row_major(), "strided view");
  const Index n = y.count(), packs = n / Pack<float>::kSize;
  if (n == 0) return;

  const bool packable = n % Pack<float>::kSize == 0 && is_aligned(gate.data()) &&
                        is_aligned(up.data()) && is_aligned(y.data());
  if (kernel == GegluKernel::best) {
    kernel = packable ? GegluKernel::thread_per_pack : GegluKernel::thread_per_number;
  }
  switch (kernel) {
    case GegluKernel::thread_per_number:
      return launch({blocks_for(n, kThreads), kThreads, 0, stream}, geglu_thread_per_number, form,
                    gate.data(), up.data(), y.data(), n);
    case GegluKernel::thread_per_pack:
      PG_CHECK(packable, std::to_string(n) + " numbers are no whole packs of 16 bytes");
      return launch({blocks_for(packs, kThreads), kThreads, 0, stream}, geglu_thread_per_pack, form,
                    as_packs(gate.data()), as_packs(up.data()), as_packs(y.data()), packs);
    case GegluKernel::best:
      break;  // replaced above
  }
}

}  // namespace paligemma::cuda
