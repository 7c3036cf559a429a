// Prefix-LM mask: the picture and the prompt see all of each other; the answer sees what came before.
//
//   query t may see key s   if  s < prefix  and  t < prefix        the prefix, both ways
//                           or  t - window < s <= t                the past, at most `window` of it
//
// Both conditions together always leave one interval of keys, so the mask is a KeyRange per query:
//
//               keys 0 1 2 3 4 5        prefix = 3 (picture, <bos>, prompt, "\n")
//   query 0          # # # . . .
//   query 1          # # # . . .
//   query 2          # # # . . .
//   query 3          # # # # . .
//   query 4          # # # # # .
//   query 5          # # # # # #        with a window of 2:  . . . . # #
//
// Paper: Beyer et al. 2024, "PaliGemma", figure 2; Raffel et al. 2019, "T5", section 3.2.1. The
// window is Gemma 2's (4096, every other layer); inside the prefix it does not apply.
//
// Read next: gemma/rope.h.
#pragma once

#include <limits>

#include "tensor/execution.h"
#include "tensor/host_device.h"
#include "tensor/scaled_dot_product_attention.h"  // KeyRange
#include "tensor/view.h"

namespace paligemma {

inline constexpr Index kNoWindow = std::numeric_limits<Index>::max();

PG_HOST_DEVICE constexpr KeyRange visible_keys(Index query, Index prefix, Index window) {
  if (query < prefix) return {0, prefix};
  return {query < window ? 0 : query - window + 1, query + 1};
}

// The ranges of queries first_query, first_query + 1, ...; one each.
//
//   visible  [T]
void prefix_lm_mask(Reference, Index first_query, Index prefix, Index window,
                    View<KeyRange, 1> visible);

}  // namespace paligemma
