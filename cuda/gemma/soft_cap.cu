#include "cuda/core/gpu.h"
#include "cuda/core/pack.h"
#include "cuda/gemma/soft_cap.h"
#include "tensor/scaled_dot_product_attention.h"  // soft_capped

namespace paligemma::cuda {
namespace {

constexpr int kThreads = 256;

// Kernel 1, thread_per_number. Thread i owns number i.
__global__ void soft_cap_thread_per_number(float cap, float* x, Index n) {
  const Index i = Index{blockIdx.x} * kThreads + threadIdx.x;
  if (i < n) x[i] = soft_capped(x[i], cap);
}

// Kernel 2, thread_per_pack. Thread i owns four neighbours: a quarter of the loads and stores.
__global__ void soft_cap_thread_per_pack(float cap, Pack<float>* x, Index packs) {
  const Index i = Index{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= packs) return;
  Pack<float> numbers = x[i];
  for (float& v : numbers.at) v = soft_capped(v, cap);
  x[i] = numbers;
}

}  // namespace

void soft_cap(const Stream& stream, float cap, DeviceView<float, 2> x, SoftCapKernel kernel) {
  PG_CHECK(cap > 0, "cap " + std::to_string(cap));
  PG_CHECK(x.is_row_major(), "strided view");
  const Index n = x.count(), packs = n / Pack<float>::kSize;
  if (n == 0) return;

  const bool packable = n % Pack<float>::kSize == 0 && is_aligned(x.data());
  if (kernel == SoftCapKernel::best) {
    kernel = packable ? SoftCapKernel::thread_per_pack : SoftCapKernel::thread_per_number;
  }
  switch (kernel) {
    case SoftCapKernel::thread_per_number:
      return launch({blocks_for(n, kThreads), kThreads, 0, stream}, soft_cap_thread_per_number, cap,
                    x.data(), n);
    case SoftCapKernel::thread_per_pack:
      PG_CHECK(packable, std::to_string(n) + " numbers are no whole packs of 16 bytes");
      return launch({blocks_for(packs, kThreads), kThreads, 0, stream}, soft_cap_thread_per_pack,
                    cap, as_packs(x.data()), packs);
    case SoftCapKernel::best:
      break;  // replaced above
  }
}

}  // namespace paligemma::cuda
