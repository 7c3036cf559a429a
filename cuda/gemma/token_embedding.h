// Token embedding on the GPU. The contract is gemma/token_embedding.h's; views are row-major. Ids that
// stand on the device, as generation leaves them, the host cannot look at: a row whose id is no row of
// the table becomes NaN instead of a ContractError.
#pragma once

#include "cuda/core/stream.h"
#include "gemma/token_embedding.h"

namespace paligemma::cuda {

enum class TokenEmbeddingKernel {
  best,
  thread_per_number,  // one number per thread
  thread_per_pack,    // four numbers per load; needs rows of whole packs
};

// Table is float, bf16 or f16.
template <class Table>
void token_embedding(const Stream& stream, DeviceView<const TokenId, 1> ids,
                     DeviceView<const Table, 2> table, float scale, DeviceView<float, 2> y,
                     TokenEmbeddingKernel kernel = TokenEmbeddingKernel::best);

// Ids on the host, as the tokenizer makes them: looked at, copied to the device, embedded there. The
// caller may change them when this returns. No graph can record it.
template <class Table>
void token_embedding(const Stream& stream, View<const TokenId, 1> ids,
                     DeviceView<const Table, 2> table, float scale, DeviceView<float, 2> y,
                     TokenEmbeddingKernel kernel = TokenEmbeddingKernel::best);

}  // namespace paligemma::cuda
