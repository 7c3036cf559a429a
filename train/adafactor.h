// Adafactor: AdamW's mean of squares of a matrix, kept as one number a row and one a column.
//
//   beta2 = min( 0.999, 1 - step^-0.8 )
//   r[o]  = beta2 r[o] + (1 - beta2) mean_i (g[o,i]^2 + 1e-30)
//   c[i]  = beta2 c[i] + (1 - beta2) mean_o (g[o,i]^2 + 1e-30)
//   u     = g / sqrt( r[o] c[i] / mean_o r )
//   m     = momentum m + (1 - momentum) u
//   w     = w - rate (m + decay w)
//
//   g     [O, I]   the gradient
//   r, c  [O], [I] zeros before the first step; of a vector, or where O or I is below 32, r has O I numbers, the mean
//                  of squares of each, and c none
//   m     [O, I]   likewise
//   step           1 for the first one: beta2 is 0 then
//
// Paper: Shazeer & Stern 2018, "Adafactor", algorithm 4. The numbers are big_vision's: a cap of beta2, momentum of
// updates (there in bf16, here in float), no clipping of updates and no steps relative to the weights (Zhai et al.
// 2021, "Scaling vision transformers", section 3.4). torch's class of that name is another rule.
//
// Read next: train/ema.h.
#pragma once

#include "tensor/execution.h"
#include "tensor/view.h"

namespace paligemma {

struct AdafactorState {
  View<float, 1> r, c;
  View<float, 2> m;
};

// Whether a matrix is large enough that its squares are kept by rows and columns.
constexpr bool is_factored(Index O, Index I) { return O >= 32 && I >= 32; }

void adafactor(Reference, double momentum, double rate, double decay, Index step,
               View<const float, 2> g, AdafactorState state, View<float, 2> w);

}  // namespace paligemma
