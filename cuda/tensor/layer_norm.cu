#include "cuda/core/block_reduce.h"
#include "cuda/core/pack.h"
#include "cuda/tensor/layer_norm.h"

namespace paligemma::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarpSize;

// Kernel 1, thread_per_row. Thread l walks row l alone, three times: mean, variance around it, result.
template <class Weight>
__global__ void layer_norm_thread_per_row(const float* x, const Weight* scale, const Weight* bias,
                                          float eps, float* y, Index L, int D) {
  const Index l = Index{blockIdx.x} * kThreads + threadIdx.x;
  if (l >= L) return;
  x += l * D;
  y += l * D;

  float sum = 0.0f;
  for (int d = 0; d < D; ++d) sum += x[d];
  const float mean = sum / static_cast<float>(D);

  float sum_sq = 0.0f;
  for (int d = 0; d < D; ++d) sum_sq += (x[d] - mean) * (x[d] - mean);
  const float inv_std = rsqrtf(sum_sq / static_cast<float>(D) + eps);
  for (int d = 0; d < D; ++d) y[d] = (x[d] - mean) * inv_std * widen(scale[d]) + widen(bias[d]);
}

// Kernel 2, block_per_row. Block l owns row l; thread i takes features i, i + 256, ... A warp reads 32
// neighbours at a time. Two sums over the block, one after the other: the second needs the first.
template <class Weight>
__global__ void layer_norm_block_per_row(const float* x, const Weight* scale, const Weight* bias,
                                         float eps, float* y, int D) {
  __shared__ float partial_sum[kWarps], partial_sum_sq[kWarps];
  x += Index{blockIdx.x} * D;
  y += Index{blockIdx.x} * D;

  float sum = 0.0f;
  for (int d = threadIdx.x; d < D; d += kThreads) sum += x[d];
  const float mean = block_sum(sum, partial_sum) / static_cast<float>(D);

  float sum_sq = 0.0f;
  for (int d = threadIdx.x; d < D; d += kThreads) sum_sq += (x[d] - mean) * (x[d] - mean);
  sum_sq = block_sum(sum_sq, partial_sum_sq);
  const float inv_std = rsqrtf(sum_sq / static_cast<float>(D) + eps);
  for (int d = threadIdx.x; d < D; d += kThreads) {
    y[d] = (x[d] - mean) * inv_std * widen(scale[d]) + widen(bias[d]);
  }
}

// Kernel 3, block_per_row_vec. Kernel 2 with four numbers where it had one: a quarter of the loads
// and stores for the same bytes. The row's second and third reading come from cache.
template <class Weight>
__global__ void layer_norm_block_per_row_vec(const Pack<float>* x, const Weight* scale,
                                             const Weight* bias, float eps, Pack<float>* y, int D) {
  __shared__ float partial_sum[kWarps], partial_sum_sq[kWarps];
  const int packs = D / Pack<float>::kSize;
  x += Index{blockIdx.x} * packs;
  y += Index{blockIdx.x} * packs;

  float sum = 0.0f;
  for (int p = threadIdx.x; p < packs; p += kThreads) {
    const Pack<float> in = x[p];
    for (float v : in.at) sum += v;
  }
  const float mean = block_sum(sum, partial_sum) / static_cast<float>(D);

  float sum_sq = 0.0f;
  for (int p = threadIdx.x; p < packs; p += kThreads) {
    const Pack<float> in = x[p];
    for (float v : in.at) sum_sq += (v - mean) * (v - mean);
  }
  sum_sq = block_sum(sum_sq, partial_sum_sq);
  const float inv_std = rsqrtf(sum_sq / static_cast<float>(D) + eps);
  for (int p = threadIdx.x; p < packs; p += kThreads) {
    Pack<float> numbers = x[p];
    for (int k = 0; k < Pack<float>::kSize; ++k) {
      const int d = p * Pack<float>::kSize + k;
      numbers.at[k] = (numbers.at[k] - mean) * inv_std * widen(scale[d]) + widen(bias[d]);
    }
    y[p] = numbers;
  }
}

}  // namespace

template <class Weight>
void layer_norm(const Stream& stream, DeviceView<const float, 2> x,
                DeviceView<const Weight, 1> scale, DeviceView<const Weight, 1> bias, float eps,
                DeviceView<float, 2> y, LayerNormKernel kernel) {
  const Index L = x.size(0);
  const int D = static_cast<int>(x.size(1));
  PG_CHECK(scale.size(0) == D && bias.size(0) == D,
           "x " + shape_text(x) + ", scale " + shape_text(scale) + ", bias " + shape_text(bias));
  PG_CHECK(y.shape() == x.shape(), "x " + shape_text(x) + ", y " + shape_text(y));
  PG_CHECK(x.is_row_major() && y.is_row_major(), "strided view");
  PG_CHECK(scale.is_row_major() && bias.is_row_major(), "strided view");
  if (x.count() == 0) return;

  const bool packable = D % Pack<float>::kSize == 0 && is_aligned(x.data()) && is_aligned(y.data());
  if (kernel == LayerNormKernel::best) {
    kernel = packable ? LayerNormKernel::block_per_row_vec : LayerNormKernel::block_per_row;
  }
  switch (kernel) {
    case LayerNormKernel::thread_per_row:
      return launch({blocks_for(L, kThreads), kThreads, 0, stream},
                    layer_norm_thread_per_row<Weight>, x.data(), scale.data(), bias.data(), eps,
                    y.data(), L, D);
    case LayerNormKernel::block_per_row:
      return launch({blocks_for(L), kThreads, 0, stream}, layer_norm_block_per_row<Weight>,
                    x.data(), scale.data(), bias.data(), eps, y.data(), D);
    case LayerNormKernel::block_per_row_vec:
      PG_CHECK(packable, "rows of " + std::to_string(D) + " are not at multiples of 16 bytes");
      return launch({blocks_for(L), kThreads, 0, stream}, layer_norm_block_per_row_vec<Weight>,
                    as_packs(x.data()), scale.data(), bias.data(), eps, as_packs(y.data()), D);
    case LayerNormKernel::best:
      break;  // replaced above
  }
}

template void layer_norm(const Stream&, DeviceView<const float, 2>, DeviceView<const float, 1>,
                         DeviceView<const float, 1>, float, DeviceView<float, 2>, LayerNormKernel);
template void layer_norm(const Stream&, DeviceView<const float, 2>, DeviceView<const bf16, 1>,
                         DeviceView<const bf16, 1>, float, DeviceView<float, 2>, LayerNormKernel);
template void layer_norm(const Stream&, DeviceView<const float, 2>, DeviceView<const f16, 1>,
                         DeviceView<const f16, 1>, float, DeviceView<float, 2>, LayerNormKernel);

}  // namespace paligemma::cuda
