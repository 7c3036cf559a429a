// Token filter: the logits of tokens that are not to be drawn become -infinity.
//
//   top_k    the ceil((1 - share) V) largest stay
//   top_p    sorted from large to small, a token stays while the mass before it is at most top_p
//   top_a    a token stays if  p >= ratio (max p)^power
//
//   logits   [V]   before the temperature, which changes them afterwards; p = softmax(logits). A NaN or
//                  +infinity is an error, and so is a row of nothing but -infinity
//
// Each rule looks at the whole row, and a token stays if every rule keeps it; of equals those with the
// lowest ids. The most probable one always stays.
//
// Papers: Fan et al. 2018, "Hierarchical neural story generation", section 5.4 (top-k, there a number
// of tokens); Holtzman et al. 2019, "The curious case of neural text degeneration", section 3.1
// (top-p); top-a is BlinkDL's, of RWKV. zeta's own top_p keeps a mass of 1 - top_p instead, and
// its top_a raises a TypeError. The share is not rounded to float: 0.7 of 10 tokens leaves 4.
//
// Read next: zeta/loss.h.
#pragma once

#include "tensor/view.h"

namespace paligemma {

struct TokenFilter {
  double top_k_share = 0;  // the share of tokens that goes; 0: none
  double top_p = 1;        // 1: all stay
  double top_a_ratio = 0;  // 0: all stay
  double top_a_power = 2;

  bool operator==(const TokenFilter&) const = default;
};

void filter_tokens(const TokenFilter& filter, View<float, 1> logits);

}  // namespace paligemma
