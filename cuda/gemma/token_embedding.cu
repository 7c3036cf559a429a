#include <cmath>

#include "cuda/core/device.h"
#include "cuda/core/gpu.h"
#include "cuda/core/pack.h"
#include "cuda/core/scratch.h"
#include "cuda/gemma/token_embedding.h"

namespace paligemma::cuda {
namespace {

constexpr int kThreads = 256;

// Kernel 1, thread_per_number. Block (c, t) owns 256 numbers of row t, thread i one of them. All its
// threads read the same id, which comes to the warp in one transaction.
template <class Table>
__global__ void token_embedding_thread_per_number(const TokenId* ids, const Table* table,
                                                  float scale, float* y, Index V, int D) {
  const Index t = blockIdx.y;
  const int d = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  if (d >= D) return;
  const Index id = ids[t];
  y[t * D + d] = 0 <= id && id < V ? scale * widen(table[id * D + d]) : NAN;
}

// Kernel 2, thread_per_pack. Likewise with four numbers: one load of 16 bytes of floats or 8 of the
// short types, one store of 16.
template <class Table>
__global__ void token_embedding_thread_per_pack(const TokenId* ids, const Group<Table, 4>* table,
                                                float scale, Pack<float>* y, Index V, int packs) {
  const Index t = blockIdx.y;
  const int p = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  if (p >= packs) return;
  const Index id = ids[t];
  Pack<float> row = {{NAN, NAN, NAN, NAN}};
  if (0 <= id && id < V) {
    const Group<Table, 4> stored = table[id * packs + p];
    for (int k = 0; k < Pack<float>::kSize; ++k) row.at[k] = scale * widen(stored.at[k]);
  }
  y[t * packs + p] = row;
}

}  // namespace

template <class Table>
void token_embedding(const Stream& stream, DeviceView<const TokenId, 1> ids,
                     DeviceView<const Table, 2> table, float scale, DeviceView<float, 2> y,
                     TokenEmbeddingKernel kernel) {
  const Index T = ids.size(0), V = table.size(0);
  const int D = static_cast<int>(table.size(1)), packs = D / Pack<float>::kSize;
  PG_CHECK(y.size(0) == T && y.size(1) == D,
           "ids " + shape_text(ids) + ", table " + shape_text(table) + ", y " + shape_text(y));
  PG_CHECK(ids.is_row_major() && table.is_row_major() && y.is_row_major(), "strided view");
  if (y.count() == 0) return;

  const bool packable =
      D % Pack<float>::kSize == 0 && is_group_aligned<4>(table.data()) && is_aligned(y.data());
  if (kernel == TokenEmbeddingKernel::best) {
    kernel =
        packable ? TokenEmbeddingKernel::thread_per_pack : TokenEmbeddingKernel::thread_per_number;
  }
  switch (kernel) {
    case TokenEmbeddingKernel::thread_per_number:
      return launch({dim3(blocks_for(D, kThreads), blocks_for(T)), kThreads, 0, stream},
                    token_embedding_thread_per_number<Table>, ids.data(), table.data(), scale,
                    y.data(), V, D);
    case TokenEmbeddingKernel::thread_per_pack:
      PG_CHECK(packable, "rows of " + std::to_string(D) + " are no whole packs of 16 bytes");
      return launch({dim3(blocks_for(packs, kThreads), blocks_for(T)), kThreads, 0, stream},
                    token_embedding_thread_per_pack<Table>, ids.data(), as_groups<4>(table.data()),
                    scale, as_packs(y.data()), V, packs);
    case TokenEmbeddingKernel::best:
      break;  // replaced above
  }
}

template <class Table>
void token_embedding(const Stream& stream, View<const TokenId, 1> ids,
                     DeviceView<const Table, 2> table, float scale, DeviceView<float, 2> y,
                     TokenEmbeddingKernel kernel) {
  const Index V = table.size(0);
  PG_CHECK(ids.is_row_major(), "strided view");
  for (Index t = 0; t < ids.size(0); ++t) {
    PG_CHECK(0 <= ids(t) && ids(t) < V,
             "id " + std::to_string(ids(t)) + " of " + std::to_string(V));
  }
  const Scratch<TokenId, 1> there(stream, ids.shape());
  copy_to_device(stream, there.view().data(), ids.data(), ids.count() * sizeof(TokenId));
  token_embedding(stream, DeviceView<const TokenId, 1>(there.view()), table, scale, y, kernel);
}

template void token_embedding(const Stream&, DeviceView<const TokenId, 1>,
                              DeviceView<const float, 2>, float, DeviceView<float, 2>,
                              TokenEmbeddingKernel);
template void token_embedding(const Stream&, DeviceView<const TokenId, 1>,
                              DeviceView<const bf16, 2>, float, DeviceView<float, 2>,
                              TokenEmbeddingKernel);
template void token_embedding(const Stream&, DeviceView<const TokenId, 1>, DeviceView<const f16, 2>,
                              float, DeviceView<float, 2>, TokenEmbeddingKernel);

template void token_embedding(const Stream&, View<const TokenId, 1>, DeviceView<const float, 2>,
                              float, DeviceView<float, 2>, TokenEmbeddingKernel);
template void token_embedding(const Stream&, View<const TokenId, 1>, DeviceView<const bf16, 2>,
                              float, DeviceView<float, 2>, TokenEmbeddingKernel);
template void token_embedding(const Stream&, View<const TokenId, 1>, DeviceView<const f16, 2>,
                              float, DeviceView<float, 2>, TokenEmbeddingKernel);

}  // namespace paligemma::cuda
