// The activations of a stack of layers for up to T rows at a time: of fewer, the first ones. And what it
// keeps from pass to pass: the keys and values of the rows before, and those of a context.
//
// Where keys and values cannot be kept (zeta/layers.h says when), the cache is of one layer, which each
// writes anew.
#pragma once

#include <vector>

#include "gemma/kv_cache.h"
#include "tensor/buffer.h"
#include "tensor/scaled_dot_product_attention.h"
#include "zeta/distance.h"
#include "zeta/shape.h"

namespace paligemma::zeta {

template <class On>
using RowsOn = View<float, 2, kSpaceOf<On>>;
template <class On>
using ConstRowsOn = View<const float, 2, kSpaceOf<On>>;

// How many rows there may be.
struct Room {
  Index rows = 0;          // T, of one pass
  Index keys = 0;          // of all passes and the memories before them; at least T
  Index memories = 0;      // m
  Index context = 0;       // S of cross-attention
  bool keeps = false;      // keys and values of one pass for the next
  bool remembers = false;  // what self-attention read, for memories
};

// The rows that each self-attention remembers of what came before; the same number each.
template <class On>
struct Memories {
  std::vector<BufferOn<On, float, 2>> rows;  // [m, D]

  Index length() const { return rows.empty() ? 0 : rows.front().view().size(0); }
};

template <class On>
struct LayersScratch {  // T rows, D width, N and K heads of size H, F hidden features
  Room room;
  BufferOn<On, float, 2> x;                  // [T, D]   the residual stream
  BufferOn<On, float, 2> normed;             // [T, D]   what a branch reads; in the end, the result
  BufferOn<On, float, 2> branch;             // [T, D]   what a branch produces
  BufferOn<On, float, 2> outer;              // [T, D]   the second stream, where there is one
  BufferOn<On, float, 2> memory;             // [m, D]   memories, normed
  BufferOn<On, float, 2> q;                  // [T, N * H]
  BufferOn<On, float, 2> mixed;              // [T, N * H]   what attention made of the values
  BufferOn<On, float, 2> hidden;             // [T, F]
  BufferOn<On, float, 2> gate;               // [T, F]       where it is not GELU's
  BufferOn<On, KeyRange, 1> visible;         // [T]
  std::vector<BufferOn<On, float, 2>> read;  // [T, D]   x as each self-attention found it
  KvCache<On> keys;                          // of self-attention
  KvCache<On> context;                       // of cross-attention, one layer each
  SequenceId sequence, context_rows;
  DistanceTables<On> distance;

  LayersScratch(const On& on, const LayersShape& d, const DistanceWeights& weights, Room r)
      : room(r),
        x({r.rows, d.width}, unwritten),
        normed({r.rows, d.width}, unwritten),
        branch({r.rows, d.width}, unwritten),
        outer({d.dual ? r.rows : 0, d.width}, unwritten),
        memory({r.memories, d.width}, unwritten),
        q({r.rows, d.heads * d.head_size}, unwritten),
        mixed({r.rows, d.heads * d.head_size}, unwritten),
        hidden({r.rows, d.feed_forward.width}, unwritten),
        gate({d.feed_forward.gated && d.feed_forward.activation != Activation::gelu ? r.rows : 0,
              d.feed_forward.width},
             unwritten),
        visible({r.rows}, unwritten),
        keys(r.keeps ? d.count(BlockKind::self_attention) : 1, d.stored_heads(), d.head_size),
        context(d.count(BlockKind::cross_attention), d.stored_heads(), d.head_size),
        sequence(keys.open(r.keys)),
        context_rows(context.open(r.context)),
        distance(on, weights, d, r.keys) {
    if (!r.remembers) return;
    for (Index i = 0; i < d.count(BlockKind::self_attention); ++i) {
      read.emplace_back(typename BufferOn<On, float, 2>::Shape{r.rows, d.width}, unwritten);
    }
  }
};

}  // namespace paligemma::zeta
