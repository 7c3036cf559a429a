// Layers: blocks of self-attention, cross-attention and feed-forward, each added onto the stream.
//
//   x += self_attention( norm(x) )      block00       a layer of a decoder that looks at something
//   x += cross_attention( norm(x) )     block01
//   x += feed_forward( norm(x) )        block02
//   ...
//   y = norm(x)
//
//   s.x       [T, D]   in
//   s.normed  [T, D]   out
//
// That is the norm before each branch. Behind the sum it is x = norm(x + branch), and there is no last norm;
// docs/zeta/layers.md has the other forms.
//
// An Encoder sees both ways, a Decoder only what came before. A pass may be some rows of a sequence, if
// keys and values of the earlier ones could be kept: they can unless xPos turns values, whose centre moves
// with the length of the whole.
//
// Paper: Vaswani et al. 2017, "Attention is all you need", section 3.1; Xiong et al. 2020, "On layer
// normalization in the transformer architecture". Taps: blockNN/sa, +sa, ca, +ca, ff, +ff, attention
// [T, N, S], log_sum_exp [T, N]; encoded.
//
// Read next: zeta/multi_head.h.
#pragma once

#include <vector>

#include "tensor/residual_add.h"
#include "zeta/feed_forward.h"
#include "zeta/multi_head.h"
#include "zeta/norm.h"

namespace paligemma::zeta {

template <class W>
struct BlockWeights {
  NormWeights<W> norm;                      // before the branch or behind the sum
  NormWeights<W> branch_norm = {};          // where the branch is normed before it is added
  MultiHeadWeights<W> attention = {};       // of self- and cross-attention
  FeedForwardWeights<W> feed_forward = {};  // of the others
  typename W::Vector residual_scale = {};   // [D]
};

template <class W>
struct LayersWeights {
  std::vector<BlockWeights<W>> blocks;
  NormWeights<W> final_norm = {};
  DistanceWeights distance = {};
};

// Whether a later pass may take up keys and values where an earlier one ended.
inline bool can_keep(const LayersShape& shape) {
  const bool centred = shape.rotary && shape.rotary->xpos_scale_base != 0 && shape.turn_values;
  return shape.causal && !centred;
}

// Forgets the sequence; the context stays.
template <class On>
void restart(LayersScratch<On>& s) {
  s.keys.truncate(s.sequence, 0);
}

// What all further passes look at, until the next context.
template <class On, class W>
void take_context(const On& on, const LayersWeights<W>& w, const LayersShape& shape,
                  ConstRowsOn<On> context, LayersScratch<On>& s) {
  s.context.truncate(s.context_rows, 0);
  s.context.extend(on, s.context_rows, context.size(0));
  Index layer = 0;
  for (std::size_t i = 0; i < shape.blocks.size(); ++i) {
    if (shape.blocks[i] != BlockKind::cross_attention) continue;
    context_keys(on, w.blocks[i].attention, shape, layer++, context, s);
  }
}

// x + branch, or what else a model makes of the two. Reads s.branch, changes s.x, and s.outer if it is there.
template <class On, class W>
void add_branch(const On& on, const BlockWeights<W>& w, const LayersShape& shape, Index T,
                LayersScratch<On>& s) {
  const auto rows = [T](auto& buffer) { return buffer.view().rows(0, T); };
  const auto x = rows(s.x), branch = rows(s.branch);
  if (shape.dual) residual_add(on, branch, rows(s.outer));
  if (shape.norm_branch) norm(on, shape.norm, w.branch_norm, branch, branch);
  if (shape.residual_scales) {
    multiply(on, row_of(w.residual_scale), MultiplyRule{Gate::identity, shape.residual_factor}, x);
  } else if (shape.residual_factor != 1) {
    scale(on, shape.residual_factor, x);
  }
  residual_add(on, branch, x);
  if (!shape.norm_before) norm(on, shape.norm, w.norm, x, x);
}

// What comes out, in s.normed. The second stream is the sum of x as it came and of all branches.
template <class On, class W>
void finish(const On& on, const LayersWeights<W>& w, const LayersShape& shape, Index T,
            LayersScratch<On>& s) {
  const auto rows = [T](auto& buffer) { return buffer.view().rows(0, T); };
  const auto x = rows(s.x), normed = rows(s.normed);
  if (shape.dual) {
    const auto outer = rows(s.outer);
    scale(on, shape.dual_scale, outer);
    norm(on, shape.norm, w.final_norm, outer, normed);
    residual_add(on, x, normed);
  } else if (shape.norm_before) {
    norm(on, shape.norm, w.final_norm, x, normed);
  } else {
    copy(on, x, normed);
  }
}

// `memories` of an earlier segment, before the first pass of this one; null: none.
template <class On, class W, class Tap>
void layers(const On& on, const LayersWeights<W>& w, const LayersShape& shape, Index T,
            const Looks& looks, const Memories<On>* memories, LayersScratch<On>& s,
            const Tap& tap) {
  const auto rows = [T](auto& buffer) { return buffer.view().rows(0, T); };
  const auto x = rows(s.x), normed = rows(s.normed);
  PG_CHECK(!s.room.keeps || can_keep(shape), "keys of these layers change with the length");
  PG_CHECK(!s.room.keeps || looks.words.value_or(T) == T, "padding is not kept");
  const bool needs_context = shape.count(BlockKind::cross_attention) > 0;
  PG_CHECK(!needs_context || s.context.length(s.context_rows) > 0, "a context is taken first");
  if (!s.room.keeps) restart(s);
  const Index before = s.keys.length(s.sequence);
  const Index m = memories != nullptr && before == 0 ? memories->length() : 0;
  s.keys.extend(on, s.sequence, m + T);
  const Pass pass = pass_of(on, shape, before + m, T, looks, s);
  if (shape.dual) copy(on, x, rows(s.outer));
  Index self = 0, cross = 0;
  for (std::size_t i = 0; i < shape.blocks.size(); ++i) {
    const BlockWeights<W>& block = w.blocks[i];
    const auto tap_here = tap.block(static_cast<Index>(i));
    const auto input = shape.norm_before ? normed : x;
    const auto find_input = [&] {
      if (shape.norm_before) norm(on, shape.norm, block.norm, x, normed);
    };
    const auto add = [&](const char* branch_name, const char* sum_name) {
      tap_here(branch_name, rows(s.branch));
      add_branch(on, block, shape, T, s);
      tap_here(sum_name, x);
    };
    switch (shape.blocks[i]) {
      case BlockKind::self_attention: {
        if (s.room.remembers) copy(on, x, rows(s.read[static_cast<std::size_t>(self)]));
        find_input();
        ConstRowsOn<On> memory;
        if (m > 0) {
          memory = std::as_const(memories->rows[static_cast<std::size_t>(self)]).view();
          if (shape.norm_before && shape.norm_memories) {
            const auto y = s.memory.view().rows(0, m);
            norm(on, shape.norm, block.norm, memory, y);
            memory = y;
          }
        }
        self_attention(on, block.attention, shape, self++, pass, memory, input, s, tap_here);
        add("sa", "+sa");
        break;
      }
      case BlockKind::cross_attention:
        find_input();
        cross_attention(on, block.attention, shape, cross++, pass, input, s, tap_here);
        add("ca", "+ca");
        break;
      case BlockKind::feed_forward:
        find_input();
        feed_forward(on, block.feed_forward, shape.feed_forward, input, s);
        add("ff", "+ff");
        break;
    }
  }
  finish(on, w, shape, T, s);
}

}  // namespace paligemma::zeta
