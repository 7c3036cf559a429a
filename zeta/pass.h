// A pass: which rows go through the layers at once, and what each of them may see.
//
// Read next: zeta/multi_head.h.
#pragma once

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "gemma/prefix_lm_mask.h"
#include "zeta/rotary.h"
#include "zeta/scratch.h"

namespace paligemma::zeta {

// What a caller says of the T rows of x.
struct Looks {
  std::optional<Index> words = {};         // those behind are padding; all T if not given
  std::optional<KeyRange> context = {};    // the rows of the context that are no padding
  std::span<const KeyRange> may_see = {};  // attn_mask: what each row may see at most
};

// The same as the layers use it.
struct Pass {
  Index first = 0;  // rows before x: memories and those of earlier passes
  Index words = 0;
  KeyRange context = {};
  bool sees_all = false;        // no mask; else it stands in LayersScratch::visible
  std::vector<KeyRange> blind;  // rows of x to which self-attention has nothing to say
};

// xPos measures from the middle of all S rows. Where values are not turned the centre cancels, and 0 lets
// keys be kept.
inline RotaryRule rotary_rule(const LayersShape& shape, Index S) {
  const RotaryShape& rotary = *shape.rotary;
  return {rotary.base, rotary.interpolation, rotary.xpos_scale_base, shape.turn_values ? S / 2 : 0};
}

// What row t of x may see: nothing if the interval is empty.
inline KeyRange keys_of_row(const LayersShape& shape, Index first, Index words, Index t,
                            const Looks& looks) {
  const Index place = first + t, end = first + words;
  KeyRange range{place < shape.window ? 0 : place - shape.window + 1,
                 shape.causal ? std::min(place + 1, end) : end};
  if (!looks.may_see.empty()) {
    const KeyRange& also = looks.may_see[static_cast<std::size_t>(t)];
    range = {std::max(range.begin, also.begin), std::min(range.end, also.end)};
  }
  return range;
}

// Writes s.visible if there is a mask.
template <class On>
Pass pass_of(const On& on, const LayersShape& shape, Index first, Index T, const Looks& looks,
             LayersScratch<On>& s) {
  Pass pass;
  pass.first = first;
  pass.words = looks.words.value_or(T);
  pass.context = looks.context.value_or(KeyRange{0, s.context.length(s.context_rows)});
  PG_CHECK(0 <= pass.words && pass.words <= T,
           std::to_string(pass.words) + " words in " + std::to_string(T) + " rows");
  PG_CHECK(0 <= pass.context.begin && pass.context.begin <= pass.context.end &&
               pass.context.end <= s.context.length(s.context_rows),
           "an interval of the context's rows");
  PG_CHECK(looks.may_see.empty() || static_cast<Index>(looks.may_see.size()) == T,
           std::to_string(looks.may_see.size()) + " intervals for " + std::to_string(T) + " rows");

  if (pass.words == T && looks.may_see.empty()) {
    pass.sees_all = !shape.causal && shape.window == kNoWindow;
    if (shape.causal) prefix_lm_mask(on, first, 0, shape.window, s.visible.view().rows(0, T));
    if (shape.causal || pass.sees_all) return pass;
  }
  Buffer<KeyRange, 1> visible({T}, unwritten);
  for (Index t = 0; t < T; ++t) {
    KeyRange& range = visible.view()(t) = keys_of_row(shape, first, pass.words, t, looks);
    const bool sees_nothing = range.begin >= range.end;
    if (sees_nothing) range = {0, 1};  // attention looks at something; what it says is not used
    if (sees_nothing || t >= pass.words) pass.blind.push_back({t, t + 1});
  }
  copy_from_host(on, std::as_const(visible).view(), s.visible.view().rows(0, T));
  return pass;
}

}  // namespace paligemma::zeta
