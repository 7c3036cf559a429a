// Appending to the KV cache on the GPU. The contract is gemma/kv_cache.h's. The cache is row-major;
// the heads of a token's row stand one behind the other, tokens may be further apart (keys inside a
// row of queries, keys and values).
#pragma once

#include "cuda/core/stream.h"
#include "tensor/view.h"

namespace paligemma::cuda {

enum class KvCacheAppendKernel {
  best,
  thread_per_number,  // one number per thread
  thread_per_pack,    // four per load and store; needs rows at multiples of 16 bytes
};

void kv_cache_append(const Stream& stream, DeviceView<const float, 3> rows, Index position,
                     DeviceView<float, 3> cache,
                     KvCacheAppendKernel kernel = KvCacheAppendKernel::best);

// The same for recorded graphs: the position is one number in device memory, where the host cannot
// look at it. If the rows do not fit behind it, nothing is written.
void kv_cache_append(const Stream& stream, DeviceView<const float, 3> rows,
                     DeviceView<const Index, 1> position, DeviceView<float, 3> cache,
                     KvCacheAppendKernel kernel = KvCacheAppendKernel::best);

}  // namespace paligemma::cuda
