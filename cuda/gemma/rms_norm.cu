#include "cuda/core/block_reduce.h"
#include "cuda/core/pack.h"
#include "cuda/gemma/rms_norm.h"

namespace paligemma::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarpSize;

// Kernel 1, thread_per_row. Thread t walks row t alone. At any moment the 32 threads of a warp read
// 32 addresses that are D apart, so each load fetches 32 memory sectors to use 32 numbers.
template <class Weight>
__global__ void rms_norm_thread_per_row(const float* x, const Weight* scale, RmsNormRule rule,
                                        float* y, Index T, int D) {
  const Index t = Index{blockIdx.x} * kThreads + threadIdx.x;
  if (t >= T) return;
  x += t * D;
  y += t * D;

  float sum_sq = 0.0f;
  for (int d = 0; d < D; ++d) sum_sq += x[d] * x[d];

  const float inv_rms = rsqrtf(sum_sq / static_cast<float>(D) + rule.eps);
  for (int d = 0; d < D; ++d) y[d] = x[d] * inv_rms * (rule.offset + widen(scale[d]));
}

// Kernel 2, block_per_row. Block t owns row t; thread i takes features i, i + 256, i + 512, ...
// A warp now reads 32 neighbours at a time: one coalesced transaction.
template <class Weight>
__global__ void rms_norm_block_per_row(const float* x, const Weight* scale, RmsNormRule rule,
                                       float* y, int D) {
  __shared__ float partial[kWarps];
  x += Index{blockIdx.x} * D;
  y += Index{blockIdx.x} * D;

  float sum_sq = 0.0f;
  for (int d = threadIdx.x; d < D; d += kThreads) sum_sq += x[d] * x[d];
  sum_sq = block_sum(sum_sq, partial);

  const float inv_rms = rsqrtf(sum_sq / static_cast<float>(D) + rule.eps);
  for (int d = threadIdx.x; d < D; d += kThreads)
    y[d] = x[d] * inv_rms * (rule.offset + widen(scale[d]));
}

// Kernel 3, block_per_row_vec. Kernel 2 with four numbers where it had one: a quarter of the loads
// and stores for the same bytes.
template <class Weight>
__global__ void rms_norm_block_per_row_vec(const Pack<float>* x, const Weight* scale,
                                           RmsNormRule rule, Pack<float>* y, int D) {
  __shared__ float partial[kWarps];
  const int packs = D / Pack<float>::kSize;
  x += Index{blockIdx.x} * packs;
  y += Index{blockIdx.x} * packs;

  float sum_sq = 0.0f;
  for (int p = threadIdx.x; p < packs; p += kThreads) {
    const Pack<float> in = x[p];
    for (float v : in.at) sum_sq += v * v;
  }
  sum_sq = block_sum(sum_sq, partial);

  const float inv_rms = rsqrtf(sum_sq / static_cast<float>(D) + rule.eps);
  for (int p = threadIdx.x; p < packs; p += kThreads) {
    Pack<float> numbers = x[p];  // read again: the row is in L1 or L2 by now
    for (int k = 0; k < Pack<float>::kSize; ++k) {
      numbers.at[k] *= inv_rms * (rule.offset + widen(scale[p * Pack<float>::kSize + k]));
    }
    y[p] = numbers;
  }
}

}  // namespace

template <class Weight>
void rms_norm(const Stream& stream, DeviceView<const float, 2> x, DeviceView<const Weight, 1> scale,
              RmsNormRule rule, DeviceView<float, 2> y, RmsNormKernel kernel) {
  PG_CHECK(scale.size(0) == x.size(1), "x " + shape_text(x) + ", scale " + shape_text(scale));
  PG_CHECK(y.shape() == x.shape(), "x " + shape_text(x) + ", y " + shape_text(y));
  PG_CHECK(x.is_row_major() && scale.is_row_major() && y.is_row_major(), "strided view");
  const Index T = x.size(0);
  const int D = static_cast<int>(x.size(1));
  if (x.count() == 0) return;

  const bool packable = D % Pack<float>::kSize == 0 && is_aligned(x.data()) && is_aligned(y.data());
  if (kernel == RmsNormKernel::best) {
    kernel = packable ? RmsNormKernel::block_per_row_vec : RmsNormKernel::block_per_row;
  }
  switch (kernel) {
    case RmsNormKernel::thread_per_row:
      return launch({blocks_for(T, kThreads), kThreads, 0, stream}, rms_norm_thread_per_row<Weight>,
                    x.data(), scale.data(), rule, y.data(), T, D);
    case RmsNormKernel::block_per_row:
      return launch({blocks_for(T), kThreads, 0, stream}, rms_norm_block_per_row<Weight>, x.data(),
                    scale.data(), rule, y.data(), D);
    case RmsNormKernel::block_per_row_vec:
      PG_CHECK(packable, "rows of " + std::to_string(D) + " are not at multiples of 16 bytes");
      return launch({blocks_for(T), kThreads, 0, stream}, rms_norm_block_per_row_vec<Weight>,
                    as_packs(x.data()), scale.data(), rule, as_packs(y.data()), D);
    case RmsNormKernel::best:
      break;  // replaced above
  }
}

template void rms_norm(const Stream&, DeviceView<const float, 2>, DeviceView<const float, 1>,
                       RmsNormRule, DeviceView<float, 2>, RmsNormKernel);
template void rms_norm(const Stream&, DeviceView<const float, 2>, DeviceView<const bf16, 1>,
                       RmsNormRule, DeviceView<float, 2>, RmsNormKernel);
template void rms_norm(const Stream&, DeviceView<const float, 2>, DeviceView<const f16, 1>,
                       RmsNormRule, DeviceView<float, 2>, RmsNormKernel);

}  // namespace paligemma::cuda
