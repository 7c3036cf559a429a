// KV cache: the keys and values of every token so far, per layer, so that a new token computes only
// its own.
//
//   keys, values  [layer][capacity, K, H]   of one sequence; between steps rows 0 .. length-1 are filled
//   append        copies T new rows behind them; the keys are already turned by RoPE
//
// A cache holds several sequences, each as long as it is: other questions about a picture, other pictures,
// other ways to go on. A fork is a sequence that begins as another one has: the two share their rows until
// one of them gets a new one. A sequence can be cut back to where it was.
//
//   const SequenceId a = cache.open(300);
//   cache.extend(on, a, 264);                    the prefix: a step now writes 264 rows
//   const SequenceId b = cache.fork(a);          costs nothing yet
//   cache.extend(on, b, 1);                      b gets rows of its own, copies of the 264
//   cache.truncate(a, 256);  cache.close(b);
//
// Paper: Pope et al. 2022, "Efficiently scaling transformer inference", section 2 ("KV cache"). The
// picture and the prompt fill it in one go; each generated token adds one row per layer.
//
// Read next: gemma/geglu_mlp.h.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tensor/buffer.h"
#include "tensor/execution.h"
#include "tensor/view.h"

namespace paligemma {

// Rows position .. position + T - 1 of one layer's keys or values.
//
//   rows   [T, K, H]
//   cache  [capacity, K, H]
void kv_cache_append(Reference, View<const float, 3> rows, Index position, View<float, 3> cache);

enum class SequenceId : Index {};

template <class On>
class KvCache {
 public:
  KvCache(Index layers, Index K, Index H) : layers_(layers), K_(K), H_(H) {}

  // An empty sequence with room for at least `capacity` rows.
  SequenceId open(Index capacity) { return place({memory_for(capacity), 0}); }

  // Another one with the same rows, and as much room.
  SequenceId fork(SequenceId id) { return place(Sequence(sequences_[number(id)])); }

  // Its number and its memory may serve the next.
  void close(SequenceId id) {
    auto memory = std::exchange(sequences_[number(id)].memory, nullptr);
    if (memory.use_count() == 1) spare_.push_back(std::move(memory));
  }

  // Forgets all rows but the first `length`.
  void truncate(SequenceId id, Index length) {
    Sequence& sequence = sequences_[number(id)];
    PG_CHECK(0 <= length && length <= sequence.length,
             std::to_string(length) + " of " + std::to_string(sequence.length) + " rows");
    sequence.length = length;
  }

  // T more rows, which each layer is about to write: once per step, for all layers.
  void extend(const On& on, SequenceId id, Index T) {
    Sequence& sequence = sequences_[number(id)];
    PG_CHECK(sequence.length + T <= capacity(id), std::to_string(T) + " rows behind " +
                                                      std::to_string(sequence.length) + " of " +
                                                      std::to_string(capacity(id)));
    if (sequence.memory.use_count() > 1) {  // not what others read
      const auto shared = std::exchange(sequence.memory, memory_for(capacity(id)));
      for (Index i = 0; i < layers_; ++i) {
        const auto rows = [&](auto& buffers) { return buffers[i].view().rows(0, sequence.length); };
        kv_cache_append(on, rows(shared->keys), 0, keys(id, i));
        kv_cache_append(on, rows(shared->values), 0, values(id, i));
      }
    }
    sequence.length += T;
  }

  Index layers() const { return layers_; }
  Index length(SequenceId id) const { return sequences_[number(id)].length; }
  Index capacity(SequenceId id) const { return sequences_[number(id)].memory->capacity; }
  auto keys(SequenceId id, Index layer) {
    return sequences_[number(id)].memory->keys[layer].view();
  }
  auto values(SequenceId id, Index layer) {
    return sequences_[number(id)].memory->values[layer].view();
  }

 private:
  struct Memory {
    Index capacity;
    std::vector<BufferOn<On, float, 3>> keys, values;  // one per layer
  };
  struct Sequence {
    std::shared_ptr<Memory> memory;  // null: closed
    Index length;
  };

  std::size_t number(SequenceId id) const {
    const auto i = static_cast<std::size_t>(id);
    PG_CHECK(i < sequences_.size() && sequences_[i].memory != nullptr, "no such sequence");
    return i;
  }

  SequenceId place(Sequence sequence) {
    std::size_t i = 0;
    while (i < sequences_.size() && sequences_[i].memory != nullptr) ++i;
    if (i == sequences_.size()) sequences_.emplace_back();
    sequences_[i] = std::move(sequence);
    return static_cast<SequenceId>(i);
  }

  std::shared_ptr<Memory> memory_for(Index capacity) {
    for (auto spare = spare_.begin(); spare != spare_.end(); ++spare) {
      if ((*spare)->capacity < capacity) continue;
      auto memory = std::move(*spare);
      spare_.erase(spare);
      return memory;
    }
    spare_.clear();  // too small for what is asked now
    auto memory = std::make_shared<Memory>(Memory{capacity, {}, {}});
    for (Index i = 0; i < layers_; ++i) {
      for (auto* buffers : {&memory->keys, &memory->values}) {
        buffers->emplace_back(typename BufferOn<On, float, 3>::Shape{capacity, K_, H_}, unwritten);
      }
    }
    return memory;
  }

  Index layers_, K_, H_;
  std::vector<Sequence> sequences_;
  std::vector<std::shared_ptr<Memory>> spare_;  // of sequences that were closed
};

}  // namespace paligemma
