#include "cuda/core/gpu.h"
#include "cuda/core/pack.h"
#include "cuda/siglip/position_embedding.h"

namespace paligemma::cuda {
namespace {

constexpr int kThreads = 256;

// Kernel 1, thread_per_number. Thread i owns number i.
template <class Weight>
__global__ void position_embedding_thread_per_number(const Weight* table, float* x, Index n) {
  const Index i = Index{blockIdx.x} * kThreads + threadIdx.x;
  if (i < n) x[i] += widen(table[i]);
}

// Kernel 2, thread_per_pack. Thread i owns four neighbours, and the four of the table that belong to
// them: 16 bytes of floats, 8 of the short types.
template <class Weight>
__global__ void position_embedding_thread_per_pack(const Group<Weight, 4>* table, Pack<float>* x,
                                                   Index packs) {
  const Index i = Index{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= packs) return;
  const Group<Weight, 4> more = table[i];
  Pack<float> sum = x[i];
  for (int k = 0; k < Pack<float>::kSize; ++k) sum.at[k] += widen(more.at[k]);
  x[i] = sum;
}

}  // namespace

template <class Weight>
void position_embedding(const Stream& stream, DeviceView<const Weight, 2> table,
                        DeviceView<float, 2> x, PositionEmbeddingKernel kernel) {
  PG_CHECK(table.shape() == x.shape(), "table " + shape_text(table) + ", x " + shape_text(x));
  PG_CHECK(table.is_row_major() && x.is_row_major(), "strided view");
  const Index n = x.count(), packs = n / Pack<float>::kSize;
  if (n == 0) return;

  const bool packable =
      n % Pack<float>::kSize == 0 && is_group_aligned<4>(table.data()) && is_aligned(x.data());
  if (kernel == PositionEmbeddingKernel::best) {
    kernel = packable ? PositionEmbeddingKernel::thread_per_pack
                      : PositionEmbeddingKernel::thread_per_number;
  }
  switch (kernel) {
    case PositionEmbeddingKernel::thread_per_number:
      return launch({blocks_for(n, kThreads), kThreads, 0, stream},
                    position_embedding_thread_per_number<Weight>, table.data(), x.data(), n);
    case PositionEmbeddingKernel::thread_per_pack:
      PG_CHECK(packable, std::to_string(n) + " numbers are no whole packs of 16 bytes");
      return launch({blocks_for(packs, kThreads), kThreads, 0, stream},
                    position_embedding_thread_per_pack<Weight>, as_groups<4>(table.data()),
                    as_packs(x.data()), packs);
    case PositionEmbeddingKernel::best:
      break;  // replaced above
  }
}

template void position_embedding(const Stream&, DeviceView<const float, 2>, DeviceView<float, 2>,
                                 PositionEmbeddingKernel);
template void position_embedding(const Stream&, DeviceView<const bf16, 2>, DeviceView<float, 2>,
                                 PositionEmbeddingKernel);
template void position_embedding(const Stream&, DeviceView<const f16, 2>, DeviceView<float, 2>,
                                 PositionEmbeddingKernel);

}  // namespace paligemma::cuda
