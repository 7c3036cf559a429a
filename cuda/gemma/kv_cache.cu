#include "cuda/core/gpu.h"
#include "cuda/core/pack.h"
#include "cuda/core/position.h"
#include "cuda/gemma/kv_cache.h"

namespace paligemma::cuda {
namespace {

constexpr int kThreads = 64;  // the packs of a head of 256

// Whether T rows fit behind the first `position` of the cache. The host has checked T <= capacity.
__device__ bool fits(Index position, Index T, Index capacity) {
  return 0 <= position && position <= capacity - T;
}

// Kernel 1, thread_per_number. Block (c, t) owns 64 numbers of row t, thread i one of them. A warp
// reads 32 neighbours and writes 32 neighbours, so every byte that moves is used.
__global__ void kv_cache_append_thread_per_number(const float* rows, Index row_stride,
                                                  Position position, float* cache, Index capacity,
                                                  int width) {
  const Index t = blockIdx.y, T = gridDim.y, p = position.value();
  const int i = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  if (i < width && fits(p, T, capacity)) cache[(p + t) * width + i] = rows[t * row_stride + i];
}

// Kernel 2, thread_per_pack. Likewise with four numbers: a quarter of the loads and stores, and a
// quarter of the threads for a copy that is over before they have all started.
__global__ void kv_cache_append_thread_per_pack(const Pack<float>* rows, Index row_stride,
                                                Position position, Pack<float>* cache,
                                                Index capacity, int packs) {
  const Index t = blockIdx.y, T = gridDim.y, p = position.value();
  const int i = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  if (i < packs && fits(p, T, capacity)) cache[(p + t) * packs + i] = rows[t * row_stride + i];
}

void append(const Stream& stream, DeviceView<const float, 3> rows, Position position,
            DeviceView<float, 3> cache, KvCacheAppendKernel kernel) {
  constexpr int kPack = Pack<float>::kSize;
  const Index T = rows.size(0), capacity = cache.size(0), row_stride = rows.stride()[0];
  PG_CHECK(cache.size(1) == rows.size(1) && cache.size(2) == rows.size(2),
           "rows " + shape_text(rows) + ", cache " + shape_text(cache));
  PG_CHECK(T <= capacity, "rows " + shape_text(rows) + ", cache " + shape_text(cache));
  PG_CHECK(rows.stride()[2] == 1 && rows.stride()[1] == rows.size(2), "heads are not side by side");
  PG_CHECK(cache.is_row_major(), "strided cache");
  if (rows.count() == 0) return;

  const int width = static_cast<int>(rows.size(1) * rows.size(2));
  const bool packable = width % kPack == 0 && row_stride % kPack == 0 && is_aligned(rows.data()) &&
                        is_aligned(cache.data());
  if (kernel == KvCacheAppendKernel::best) {
    kernel =
        packable ? KvCacheAppendKernel::thread_per_pack : KvCacheAppendKernel::thread_per_number;
  }
  switch (kernel) {
    case KvCacheAppendKernel::thread_per_number:
      return launch({dim3(blocks_for(width, kThreads), blocks_for(T)), kThreads, 0, stream},
                    kv_cache_append_thread_per_number, rows.data(), row_stride, position,
                    cache.data(), capacity, width);
    case KvCacheAppendKernel::thread_per_pack:
      PG_CHECK(packable, "rows of " + std::to_string(width) + " are not at multiples of 16 bytes");
      return launch({dim3(blocks_for(width / kPack, kThreads), blocks_for(T)), kThreads, 0, stream},
                    kv_cache_append_thread_per_pack, as_packs(rows.data()), row_stride / kPack,
                    position, as_packs(cache.data()), capacity, width / kPack);
    case KvCacheAppendKernel::best:
      break;  // replaced above
  }
}

}  // namespace

void kv_cache_append(const Stream& stream, DeviceView<const float, 3> rows, Index position,
                     DeviceView<float, 3> cache, KvCacheAppendKernel kernel) {
  PG_CHECK(0 <= position && position + rows.size(0) <= cache.size(0),
           "rows " + shape_text(rows) + " at " + std::to_string(position) + ", cache " +
               shape_text(cache));
  append(stream, rows, {position}, cache, kernel);
}

void kv_cache_append(const Stream& stream, DeviceView<const float, 3> rows,
                     DeviceView<const Index, 1> position, DeviceView<float, 3> cache,
                     KvCacheAppendKernel kernel) {
  PG_CHECK(position.size(0) == 1, "position " + shape_text(position));
  append(stream, rows, {0, position.data()}, cache, kernel);
}

}  // namespace paligemma::cuda
