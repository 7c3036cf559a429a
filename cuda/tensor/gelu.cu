#include "cuda/core/gpu.h"
#include "cuda/core/pack.h"
#include "cuda/tensor/gelu.h"

namespace paligemma::cuda {
namespace {

constexpr int kThreads = 256;

// Kernel 1, thread_per_number. Thread i owns number i. All threads take the same form, so the choice
// of it costs a warp no second way.
__global__ void gelu_thread_per_number(GeluForm form, const float* x, float* y, Index n) {
  const Index i = Index{blockIdx.x} * kThreads + threadIdx.x;
  if (i < n) y[i] = paligemma::gelu(form, x[i]);
}

// Kernel 2, thread_per_pack. Thread i owns four neighbours: a quarter of the loads and stores, and
// four independent tanh to fill the time in which one waits for its predecessor's digits.
__global__ void gelu_thread_per_pack(GeluForm form, const Pack<float>* x, Pack<float>* y,
                                     Index packs) {
  const Index i = Index{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= packs) return;
  Pack<float> numbers = x[i];
  for (float& v : numbers.at) v = paligemma::gelu(form, v);
  y[i] = numbers;
}

}  // namespace

void gelu(const Stream& stream, GeluForm form, DeviceView<const float, 2> x, DeviceView<float, 2> y,
          GeluKernel kernel) {
  PG_CHECK(y.shape() == x.shape(), "x " + shape_text(x) + ", y " + shape_text(y));
  PG_CHECK(x.is_row_major() && y.is_row_major(), "strided view");
  const Index n = x.count(), packs = n / Pack<float>::kSize;
  if (n == 0) return;

  const bool packable = n % Pack<float>::kSize == 0 && is_aligned(x.data()) && is_aligned(y.data());
  if (kernel == GeluKernel::best) {
    kernel = packable ? GeluKernel::thread_per_pack : GeluKernel::thread_per_number;
  }
  switch (kernel) {
    case GeluKernel::thread_per_number:
      return launch({blocks_for(n, kThreads), kThreads, 0, stream}, gelu_thread_per_number, form,
                    x.data(), y.data(), n);
    case GeluKernel::thread_per_pack:
      PG_CHECK(packable, std::to_string(n) + " numbers are no whole packs of 16 bytes");
      return launch({blocks_for(packs, kThreads), kThreads, 0, stream}, gelu_thread_per_pack, form,
                    as_packs(x.data()), as_packs(y.data()), packs);
    case GeluKernel::best:
      break;  // replaced above
  }
}

}  // namespace paligemma::cuda
