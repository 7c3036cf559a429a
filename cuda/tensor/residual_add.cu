#include "cuda/core/gpu.h"
#include "cuda/core/pack.h"
#include "cuda/tensor/residual_add.h"

namespace paligemma::cuda {
namespace {

constexpr int kThreads = 256;

// Kernel 1, thread_per_number. Thread i owns number i. A warp reads 32 neighbours at once, so every
// byte that comes is used; what is left to save is instructions.
__global__ void residual_add_thread_per_number(const float* branch, float* x, Index n) {
  const Index i = Index{blockIdx.x} * kThreads + threadIdx.x;
  if (i < n) x[i] += branch[i];
}

// Kernel 2, thread_per_pack. Thread i owns four neighbours: a quarter of the loads and stores, and
// four times the bytes under way in each thread.
__global__ void residual_add_thread_per_pack(const Pack<float>* branch, Pack<float>* x,
                                             Index packs) {
  const Index i = Index{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= packs) return;
  const Pack<float> more = branch[i];
  Pack<float> sum = x[i];
  for (int k = 0; k < Pack<float>::kSize; ++k) sum.at[k] += more.at[k];
  x[i] = sum;
}

}  // namespace

void residual_add(const Stream& stream, DeviceView<const float, 2> branch, DeviceView<float, 2> x,
                  ResidualAddKernel kernel) {
  PG_CHECK(branch.shape() == x.shape(), "branch " + shape_text(branch) + ", x " + shape_text(x));
  PG_CHECK(branch.is_row_major() && x.is_row_major(), "strided view");
  const Index n = x.count(), packs = n / Pack<float>::kSize;
  if (n == 0) return;

  const bool packable =
      n % Pack<float>::kSize == 0 && is_aligned(branch.data()) && is_aligned(x.data());
  if (kernel == ResidualAddKernel::best) {
    kernel = packable ? ResidualAddKernel::thread_per_pack : ResidualAddKernel::thread_per_number;
  }
  switch (kernel) {
    case ResidualAddKernel::thread_per_number:
      return launch({blocks_for(n, kThreads), kThreads, 0, stream}, residual_add_thread_per_number,
                    branch.data(), x.data(), n);
    case ResidualAddKernel::thread_per_pack:
      PG_CHECK(packable, std::to_string(n) + " numbers are no whole packs of 16 bytes");
      return launch({blocks_for(packs, kThreads), kThreads, 0, stream},
                    residual_add_thread_per_pack, as_packs(branch.data()), as_packs(x.data()),
                    packs);
    case ResidualAddKernel::best:
      break;  // replaced above
  }
}

}  // namespace paligemma::cuda
