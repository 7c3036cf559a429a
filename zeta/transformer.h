// Transformer: ids in, logits out; what stands before and behind the layers.
//
//   x = words[ids] + positions + what else is added;  x = [before; x]
//   x = linear(x)                          where the words' rows are not as wide as the layers
//   y = layers( [memory tokens; x] )       their rows are left out of what follows
//   logits = linear(y)
//
// Positions are learned rows, or sines and cosines, or none: where the layers turn queries and keys or have
// T5's bias, nothing is added. Learned ones count the words of a segment, the layers' own count every row from
// the oldest memory on.
//
// Between segments a Transformer remembers: of each self-attention the last rows that it read, as they were
// before the norm. The next segment looks at them as at words before its own (Memories).
//
// Paper: Dai et al. 2019, "Transformer-XL", section 3.2; Burtsev et al. 2020, "Memory transformer", for memory
// tokens; Rae & Razavi 2020, "Do transformers need deep long-range memory?", for memories shifted down.
// Taps: embedded, blockNN/..., final_norm, logits.
//
// Read next: zeta/vision.h.
#pragma once

#include <cmath>
#include <numeric>
#include <span>
#include <vector>

#include "gemma/token_embedding.h"
#include "zeta/layers.h"
#include "zeta/sinusoid.h"

namespace paligemma::zeta {

template <class W>
struct TransformerWeights {
  typename W::Matrix words;           // [V, E]
  typename W::Matrix positions = {};  // [max_positions, E], where they are learned
  float sinusoid_scale = 0;
  NormWeights<W> embedding_norm = {};     // [E]
  Linear<W> project = {};                 // [D, E], where E is not D
  typename W::Matrix memory_tokens = {};  // [M, D]
  LayersWeights<W> layers;
  Linear<W> head;  // [outputs, D]   the words themselves where they are tied
};

// One pass. Views are where the executor's are; E is the width of embeddings.
template <class On>
struct Words {
  std::span<const TokenId> ids;
  std::span<const TokenId> positions = {};  // of each; if not given, they count on
  ConstRowsOn<On> position_rows = {};       // [T, E]   instead of positions
  ConstRowsOn<On> added = {};               // [T, E]   sum_embeds
  ConstRowsOn<On> before = {};              // [n, E]   prepend_embeds, which have no positions
  Looks looks = {};                         // of words; all other rows are seen
};

template <class On>
struct TransformerScratch {
  LayersScratch<On> layers;
  BufferOn<On, float, 2> embedded;  // [T, E]
  BufferOn<On, float, 2> places;    // [T, E]
  BufferOn<On, float, 2> logits;    // [R, outputs]
  Index words = 0;                  // of the segment so far

  // For passes of up to `room.rows` words and rows before them, and logits of up to R of them at once.
  template <class W>
  TransformerScratch(const On& on, const TransformerShape& d, const TransformerWeights<W>& w,
                     Room room, Index R)
      : layers(on, d.layers, w.layers.distance, with_memory_tokens(room, d)),
        embedded({room.rows, d.embedding_width}, unwritten),
        places({room.rows, d.embedding_width}, unwritten),
        logits({R, d.outputs}, unwritten) {}

 private:
  static Room with_memory_tokens(Room room, const TransformerShape& d) {
    room.rows += d.memory_tokens;
    room.keys = std::max(room.keys, room.rows) + d.memory_tokens + room.memories;
    return room;
  }
};

// A new sequence, or a new segment of one.
template <class On>
void restart(TransformerScratch<On>& s) {
  restart(s.layers);
  s.words = 0;
}

// Positions of the words that are about to come, onto their rows.
template <class On, class W>
void add_positions(const On& on, const TransformerWeights<W>& w, const TransformerShape& shape,
                   const Words<On>& words, RowsOn<On> rows, TransformerScratch<On>& s) {
  const Index T = rows.size(0);
  if (words.position_rows.size(0) > 0) return residual_add(on, words.position_rows, rows);
  std::vector<TokenId> at(words.positions.begin(), words.positions.end());
  if (at.empty()) {
    at.resize(static_cast<std::size_t>(T));
    std::iota(at.begin(), at.end(), static_cast<TokenId>(s.words));
  }
  const View<const TokenId, 1> places_of(at.data(), {T});
  if (shape.positions == Positions::learned) {
    const float E = static_cast<float>(shape.embedding_width);
    const auto places = s.places.view().rows(0, T);
    const float scale = shape.unit_embeddings ? 1.0f : 1.0f / std::sqrt(E);
    token_embedding(on, places_of, w.positions, scale, places);
    if (shape.unit_embeddings) unit_rows(on, places, UnitRule{}, typename W::Vector{}, places);
    residual_add(on, places, rows);
  }
  if (shape.positions == Positions::sinusoidal) {
    sinusoid(on, places_of, w.sinusoid_scale, rows);
  }
}

// Rows for the layers, in s.layers.x: how many stand before the words, memory tokens and others.
template <class On, class W>
Index embed(const On& on, const TransformerWeights<W>& w, const TransformerShape& shape,
            const Words<On>& words, TransformerScratch<On>& s) {
  const auto T = static_cast<Index>(words.ids.size()), n = words.before.size(0);
  const bool begins = s.layers.keys.length(s.layers.sequence) == 0 || !s.layers.room.keeps;
  const Index M = begins ? shape.memory_tokens : 0;
  const auto rows = s.embedded.view().rows(n, n + T), x = s.layers.x.view();
  token_embedding(on, View<const TokenId, 1>(words.ids.data(), {T}), w.words, 1.0f, rows);
  if (shape.unit_embeddings) unit_rows(on, rows, UnitRule{}, typename W::Vector{}, rows);
  add_positions(on, w, shape, words, rows, s);
  if (words.added.size(0) > 0) residual_add(on, words.added, rows);
  if (shape.norm_embeddings) norm(on, NormKind::layer, w.embedding_norm, rows, rows);
  if (n > 0) copy(on, words.before, s.embedded.view().rows(0, n));

  const auto all = s.embedded.view().rows(0, n + T), to = x.rows(M, M + n + T);
  if (w.project.weight.data() != nullptr) {
    linear(on, all, w.project, to);
  } else {
    copy(on, all, to);
  }
  if (M > 0) {
    std::vector<TokenId> ids(static_cast<std::size_t>(M));
    std::iota(ids.begin(), ids.end(), 0);
    token_embedding(on, View<const TokenId, 1>(ids.data(), {M}), w.memory_tokens, 1.0f,
                    x.rows(0, M));
  }
  s.words += T;
  return M + n;
}

// The rows behind the last norm, [n + T, D], without those of memory tokens.
template <class On, class W, class Tap>
ConstRowsOn<On> transformer(const On& on, const TransformerWeights<W>& w,
                            const TransformerShape& shape, const Words<On>& words,
                            const Memories<On>* memories, TransformerScratch<On>& s,
                            const Tap& tap) {
  if (!s.layers.room.keeps) restart(s);
  const Index front = embed(on, w, shape, words, s);
  const auto T = static_cast<Index>(words.ids.size()), n = words.before.size(0);
  tap("embedded", s.layers.x.view().rows(0, front + T));

  Looks looks = words.looks;
  if (looks.words) *looks.words += front;
  layers(on, w.layers, shape.layers, front + T, looks, memories, s.layers, tap);
  const auto rows = s.layers.normed.view().rows(front - n, front + T);
  tap("final_norm", rows);
  return rows;
}

// Rows of the layers to logits, in the first rows of s.logits.
template <class On, class W, class Tap>
RowsOn<On> logits(const On& on, const TransformerWeights<W>& w, ConstRowsOn<On> rows,
                  TransformerScratch<On>& s, const Tap& tap) {
  const auto y = s.logits.view().rows(0, rows.size(0));
  linear(on, rows, w.head, y);
  tap("logits", y);
  return y;
}

// Memories as layers take them: moved down by memory_shift, the lowest ones to the top.
template <class On>
void shift_memories(const TransformerShape& shape, Memories<On>& memories) {
  if (shape.memory_shift == 0 || memories.rows.empty()) return;
  const auto count = static_cast<Index>(memories.rows.size());
  std::rotate(memories.rows.begin(), memories.rows.begin() + shape.memory_shift % count,
              memories.rows.end());
}

// What the next segment remembers of the T rows of a pass, and of the memories that it had itself: the last
// memory_rows of them.
template <class On>
Memories<On> remember(const On& on, const TransformerShape& shape, const Memories<On>* memories,
                      Index T, TransformerScratch<On>& s) {
  const Index m = memories != nullptr ? memories->length() : 0;
  const Index kept = std::min(shape.memory_rows, m + T), of_old = std::max(kept - T, Index{0});
  Memories<On> next;
  for (std::size_t i = 0; i < s.layers.read.size(); ++i) {
    auto& rows = next.rows.emplace_back(
        typename BufferOn<On, float, 2>::Shape{kept, shape.layers.width}, unwritten);
    if (of_old > 0) {
      copy(on, std::as_const(memories->rows[i]).view().rows(m - of_old, m),
           rows.view().rows(0, of_old));
    }
    copy(on, std::as_const(s.layers.read[i]).view().rows(T - (kept - of_old), T),
         rows.view().rows(of_old, kept));
  }
  return next;
}

}  // namespace paligemma::zeta
