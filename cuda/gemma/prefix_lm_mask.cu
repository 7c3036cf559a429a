#include "cuda/core/gpu.h"
#include "cuda/core/position.h"
#include "cuda/gemma/prefix_lm_mask.h"

namespace paligemma::cuda {
namespace {

constexpr int kThreads = 128;

// Thread t owns query t: a few comparisons and one store of two numbers, 16 bytes.
__global__ void prefix_lm_mask_thread_per_query(Position first_query, Index prefix, Index window,
                                                KeyRange* visible, Index T) {
  const Index t = Index{blockIdx.x} * kThreads + threadIdx.x;
  if (t < T) visible[t] = visible_keys(first_query.value() + t, prefix, window);
}

void mask(const Stream& stream, Position first_query, Index prefix, Index window,
          DeviceView<KeyRange, 1> visible) {
  PG_CHECK(window > 0, "a window holds at least the query itself");
  PG_CHECK(visible.is_row_major(), "strided view");
  const Index T = visible.size(0);
  if (T == 0) return;
  launch({blocks_for(T, kThreads), kThreads, 0, stream}, prefix_lm_mask_thread_per_query,
         first_query, prefix, window, visible.data(), T);
}

}  // namespace

void prefix_lm_mask(const Stream& stream, Index first_query, Index prefix, Index window,
                    DeviceView<KeyRange, 1> visible) {
  PG_CHECK(first_query >= 0, "query " + std::to_string(first_query));
  mask(stream, {first_query}, prefix, window, visible);
}

void prefix_lm_mask(const Stream& stream, DeviceView<const Index, 1> first_query, Index prefix,
                    Index window, DeviceView<KeyRange, 1> visible) {
  PG_CHECK(first_query.size(0) == 1, "first query " + shape_text(first_query));
  mask(stream, {0, first_query.data()}, prefix, window, visible);
}

}  // namespace paligemma::cuda
