// Projector: one linear layer that turns each image row into a row of the language model.
//
//   y[l,d] = sum_i x[l,i] weight[d,i] + bias[d]
//
//   x       [L, I]   encoded patches, I = 1152
//   weight  [D, I]   D the width of Gemma (2048, 2304, 3584 or 4608)
//   bias    [D]
//   y       [L, D]   enters the decoder as it is: words are multiplied by sqrt(D), these are not
//
// Paper: Beyer et al. 2024, "PaliGemma", section 3.1; section 5.5 finds that an MLP does no better.
//
// Read next: siglip/encoder.h.
#pragma once

#include "tensor/linear.h"

namespace paligemma {

template <class On, class W, class X, class Y>
void projector(const On& on, const X& x, const Linear<W>& w, const Y& y) {
  linear(on, x, w, y);
}

}  // namespace paligemma
