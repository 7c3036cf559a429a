#include "cuda/core/gpu.h"
#include "cuda/core/pack.h"
#include "cuda/gemma/repeat_kv.h"
#include "tensor/scaled_dot_product_attention.h"  // kv_head_of

namespace paligemma::cuda {
namespace {

constexpr int kThreads = 64;  // the packs of a head of 256

// Kernel 1, thread_per_number. Block (c, n, s) owns 64 numbers of head n of row s of y, thread i one of
// them. The N / K blocks that read the same numbers of x find them in L2.
__global__ void repeat_kv_thread_per_number(const float* x, float* y, int K, int H) {
  const Index N = gridDim.y, n = blockIdx.y, s = blockIdx.z;
  const int h = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  if (h < H) y[(s * N + n) * H + h] = x[(s * K + kv_head_of(n, N, K)) * H + h];
}

// Kernel 2, thread_per_pack. Thread i of block (c, k, s) owns four neighbours of head k of row s of x,
// reads them once and writes them to each of the query heads that share them.
__global__ void repeat_kv_thread_per_pack(const Pack<float>* x, Pack<float>* y, int sharers,
                                          int packs) {
  const Index K = gridDim.y, k = blockIdx.y, s = blockIdx.z;
  const int p = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  if (p >= packs) return;
  const Pack<float> numbers = x[(s * K + k) * packs + p];
  y += (s * K + k) * sharers * packs + p;
  for (int n = 0; n < sharers; ++n) y[n * packs] = numbers;
}

}  // namespace

void repeat_kv(const Stream& stream, DeviceView<const float, 3> x, DeviceView<float, 3> y,
               RepeatKvKernel kernel) {
  const Index S = x.size(0), K = x.size(1), N = y.size(1);
  PG_CHECK(y.size(0) == S && y.size(2) == x.size(2), "x " + shape_text(x) + ", y " + shape_text(y));
  PG_CHECK(K > 0 && N % K == 0, "x " + shape_text(x) + ", y " + shape_text(y));
  PG_CHECK(x.is_row_major() && y.is_row_major(), "strided view");
  const int H = static_cast<int>(x.size(2)), packs = H / Pack<float>::kSize;
  if (y.count() == 0) return;

  const bool packable = H % Pack<float>::kSize == 0 && is_aligned(x.data()) && is_aligned(y.data());
  if (kernel == RepeatKvKernel::best) {
    kernel = packable ? RepeatKvKernel::thread_per_pack : RepeatKvKernel::thread_per_number;
  }
  switch (kernel) {
    case RepeatKvKernel::thread_per_number:
      return launch(
          {dim3(blocks_for(H, kThreads), blocks_for(N), blocks_for(S)), kThreads, 0, stream},
          repeat_kv_thread_per_number, x.data(), y.data(), static_cast<int>(K), H);
    case RepeatKvKernel::thread_per_pack:
      PG_CHECK(packable, "heads of " + std::to_string(H) + " are no whole packs of 16 bytes");
      return launch(
          {dim3(blocks_for(packs, kThreads), blocks_for(K), blocks_for(S)), kThreads, 0, stream},
          repeat_kv_thread_per_pack, as_packs(x.data()), as_packs(y.data()),
          static_cast<int>(N / K), packs);
    case RepeatKvKernel::best:
      break;  // replaced above
  }
}

}  // namespace paligemma::cuda
