// KV cache: the keys and values of every token so far, per layer, so that a new token computes only
// its own.
//
//   keys, values  [layer][capacity, K, H]   rows 0 .. length-1 are filled
//   append        copies T new rows behind them; the keys are already turned by RoPE
//
// Paper: Pope et al. 2022, "Efficiently scaling transformer inference", section 2 ("KV cache"). The
// picture and the prompt fill it in one go; each generated token adds one row per layer.
//
// Read next: gemma/self_attention.h.
#pragma once

#include <string>
#include <vector>

#include "tensor/buffer.h"
#include "tensor/execution.h"
#include "tensor/view.h"

namespace paligemma {

template <class On>
class KvCache {
 public:
  KvCache(Index layers, Index capacity, Index K, Index H) : capacity_(capacity) {
    for (Index i = 0; i < layers; ++i) {
      keys_.emplace_back(typename BufferOn<On, float, 3>::Shape{capacity, K, H}, unwritten);
      values_.emplace_back(typename BufferOn<On, float, 3>::Shape{capacity, K, H}, unwritten);
    }
  }

  Index length() const { return length_; }
  Index capacity() const { return capacity_; }

  // A layer appends its rows behind the `length` that all layers share; `advance` then counts them
  // in, once per step. `clear` forgets everything and frees nothing.
  auto keys(Index layer) { return keys_[layer].view(); }
  auto values(Index layer) { return values_[layer].view(); }
  void advance(Index T) {
    PG_CHECK(length_ + T <= capacity_, std::to_string(T) + " rows behind " +
                                           std::to_string(length_) + " of " +
                                           std::to_string(capacity_));
    length_ += T;
  }
  void clear() { length_ = 0; }

 private:
  Index capacity_;
  Index length_ = 0;
  std::vector<BufferOn<On, float, 3>> keys_, values_;  // one per layer
};

// Rows position .. position + T - 1 of one layer's keys or values.
//
//   rows   [T, K, H]
//   cache  [capacity, K, H]
void kv_cache_append(Reference, View<const float, 3> rows, Index position, View<float, 3> cache);

}  // namespace paligemma
