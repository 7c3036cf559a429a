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
// Read next: gemma/token_embedding.h, where the words come from.
#pragma once

#include "tensor/execution.h"
#include "tensor/numbers.h"
#include "tensor/view.h"

namespace paligemma {

// Weight is float, bf16 or f16.
template <class Weight>
void projector(Reference, View<const float, 2> x, View<const Weight, 2> weight,
               View<const Weight, 1> bias, View<float, 2> y);

}  // namespace paligemma
