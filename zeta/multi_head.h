// Multi-head attention: rows look at one another (self-attention), or at the rows of something else
// (cross-attention).
//
//   q = linear(x)                      [T, N, H]
//   k = linear(y),  v = linear(y)      [S, K, H], kept; y = [memories; x], or the context
//   q, k = unit_rows(q), unit_rows(k)  where the model says so; the scale is then a number of its own
//   q, k, v = rotary(...)              self-attention alone, where the model has it
//   out = linear( attention(q, k, v) + bias by distance )      the bias in self-attention alone
//
// No linear layer has a bias. The keys and values of a context do not depend on x, so they are computed
// once for as many passes as there are (context_keys). Self-attention writes those of the new rows behind
// those of earlier ones.
//
// Padding is a number of words: rows behind them are seen by nobody, and what attention says to them is 0.
//
// Paper: Vaswani et al. 2017, "Attention is all you need", section 3.2.2 and 3.2.3; Dai et al. 2019,
// "Transformer-XL", section 3.2, for memories; Henry et al. 2020, "Query-key normalization", for unit_rows.
//
// Read next: zeta/feed_forward.h.
#pragma once

#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "gemma/prefix_lm_mask.h"
#include "tensor/linear.h"
#include "tensor/scaled_dot_product_attention.h"
#include "tensor/tap.h"
#include "tensor/unit_rows.h"
#include "tensor/weights.h"
#include "zeta/pass.h"
#include "zeta/rotary.h"
#include "zeta/scratch.h"

namespace paligemma::zeta {

template <class W>
struct MultiHeadWeights {
  Linear<W> q;                                    // [N * H, D]
  Linear<W> k, v;                                 // [K * H, D]
  Linear<W> out;                                  // [D, N * H]
  typename W::Vector q_scale = {}, k_scale = {};  // [H] behind unit_rows, where they are learned
};

// Each head of rows [T, heads * H] to unit length, if the model does that.
template <class On, class Vector, class Rows>
void unit_heads(const On& on, const Vector& scale, const LayersShape& shape, const Rows& rows) {
  if (shape.unit_groups == 0) return;
  const Index H = shape.head_size;
  const auto heads = rows.template reshaped<2>({rows.count() / H, H});
  unit_rows(on, heads, UnitRule{shape.unit_groups}, scale, heads);
}

// Attention itself, and what it shows of itself to whoever looks.
template <class On, class Queries, class Keys, class Visible, class Tap>
void attend(const On& on, const Queries& q, const Keys& k, const Keys& v, const Visible& visible,
            float scale, const DistanceBias<kSpaceOf<On>>& bias, const Queries& out,
            const Tap& tap) {
  if constexpr (std::is_same_v<Tap, NoTap>) {
    scaled_dot_product_attention(on, q, k, v, visible, {scale}, out, bias);
  } else {
    const Index T = q.size(0), N = q.size(1);
    BufferOn<On, float, 3> weights({T, N, k.size(0)}, unwritten);
    BufferOn<On, float, 2> log_sum_exp({T, N}, unwritten);
    scaled_dot_product_attention(on, q, k, v, visible, {scale}, out, bias,
                                 {weights.view(), log_sum_exp.view()});
    tap("attention", weights.view());
    tap("log_sum_exp", log_sum_exp.view());
  }
}

// Reads `input` [T, D] and the memories [m, D] before it; writes s.branch. `layer` counts self-attentions.
template <class On, class W, class Tap>
void self_attention(const On& on, const MultiHeadWeights<W>& w, const LayersShape& shape,
                    Index layer, const Pass& pass, ConstRowsOn<On> memory, ConstRowsOn<On> input,
                    LayersScratch<On>& s, const Tap& tap) {
  const Index T = input.size(0), m = memory.size(0), first = pass.first, S = first + T;
  const Index N = shape.heads, K = shape.stored_heads(), H = shape.head_size;
  const Index kept = s.room.keeps ? layer : 0;
  const auto flat = [&](const auto& heads, Index begin) {
    return heads.rows(begin, S).template reshaped<2>({S - begin, K * H});
  };
  const auto keys = s.keys.keys(s.sequence, kept), values = s.keys.values(s.sequence, kept);
  const auto q = s.q.view().rows(0, T), mixed = s.mixed.view().rows(0, T);
  linear(on, input, w.q, q);
  for (const auto& [layer_of, rows] : {std::pair(&w.k, keys), std::pair(&w.v, values)}) {
    if (m > 0) linear(on, memory, *layer_of, flat(rows, first - m).rows(0, m));
    linear(on, input, *layer_of, flat(rows, first));
  }
  unit_heads(on, w.q_scale, shape, q);
  unit_heads(on, w.k_scale, shape, flat(keys, first - m));

  const auto queries = q.template reshaped<3>({T, N, H});
  if (shape.rotary) {
    const Index R = shape.rotary->channels;
    const RotaryRule rule = rotary_rule(shape, S);
    const auto turned = [&](const auto& x) {  // the first R numbers of each head
      using Heads = std::remove_cvref_t<decltype(x)>;
      return Heads(x.data(), {x.size(0), x.size(1), R}, x.stride());
    };
    rotary(on, first, rule, Turn::query, turned(queries));
    rotary(on, first - m, rule, Turn::key, turned(keys.rows(first - m, S)));
    if (shape.turn_values) {
      rotary(on, first - m, rule, Turn::key, turned(values.rows(first - m, S)));
    }
  }

  const auto visible = pass.sees_all ? decltype(s.visible.view()){} : s.visible.view().rows(0, T);
  attend(on, queries, keys.rows(0, S), values.rows(0, S), visible, shape.score_scale,
         s.distance.at(first), mixed.template reshaped<3>({T, N, H}), tap);
  linear(on, mixed, w.out, s.branch.view().rows(0, T));
  for (const KeyRange& rows : pass.blind) {
    zero(on, s.branch.view().rows(rows.begin, rows.end));
  }
}

// The keys and values of a context [S, D] for the cross-attention `layer`, counted among those.
template <class On, class W>
void context_keys(const On& on, const MultiHeadWeights<W>& w, const LayersShape& shape, Index layer,
                  ConstRowsOn<On> context, LayersScratch<On>& s) {
  const Index S = context.size(0), width = shape.stored_heads() * shape.head_size;
  const auto flat = [&](const auto& heads) {
    return heads.rows(0, S).template reshaped<2>({S, width});
  };
  const auto keys = flat(s.context.keys(s.context_rows, layer));
  linear(on, context, w.k, keys);
  linear(on, context, w.v, flat(s.context.values(s.context_rows, layer)));
  unit_heads(on, w.k_scale, shape, keys);
}

// Reads `input` [T, D], writes s.branch. `layer` counts cross-attentions.
template <class On, class W, class Tap>
void cross_attention(const On& on, const MultiHeadWeights<W>& w, const LayersShape& shape,
                     Index layer, const Pass& pass, ConstRowsOn<On> input, LayersScratch<On>& s,
                     const Tap& tap) {
  const Index T = input.size(0), N = shape.heads, H = shape.head_size;
  const auto [begin, end] = pass.context;
  const auto branch = s.branch.view().rows(0, T);
  if (begin == end) return zero(on, branch);  // nothing to look at

  const auto q = s.q.view().rows(0, T), mixed = s.mixed.view().rows(0, T);
  linear(on, input, w.q, q);
  unit_heads(on, w.q_scale, shape, q);
  const auto keys = s.context.keys(s.context_rows, layer).rows(begin, end);
  const auto values = s.context.values(s.context_rows, layer).rows(begin, end);
  attend(on, q.template reshaped<3>({T, N, H}), keys, values, decltype(s.visible.view()){},
         shape.score_scale, {}, mixed.template reshaped<3>({T, N, H}), tap);
  linear(on, mixed, w.out, branch);
  if (pass.words < T) zero(on, branch.rows(pass.words, T));
}

}  // namespace paligemma::zeta
