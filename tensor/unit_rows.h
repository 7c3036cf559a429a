// Unit rows: divide each group of numbers of a row by its length, so that only its direction is left.
//
//   y[t,d] = x[t,d] / max(|g|, floor) * scale[d]      |g| = sqrt( sum_{i in g} x[t,i]^2 ), d in g
//
//   x      [T, W]   T rows, each of `groups` groups of W / groups neighbours
//   scale  [W]      learned; of size 0 where there is none
//   y      [T, W]   may be x itself: a group is read in full before it is written
//
// A group that is shorter than the floor is divided by the floor, so zeros stay zeros.
//
// Paper: Henry et al. 2020, "Query-key normalization for Transformers" (QKNorm), for queries
// and keys: their products are cosines then. The heads of a query or key are rows: [T, N * H] seen as
// [T * N, H]. The floor is that of torch.nn.functional.normalize.
//
// Read next: zeta/rotary.h.
#pragma once

#include "tensor/execution.h"
#include "tensor/numbers.h"
#include "tensor/view.h"

namespace paligemma {

struct UnitRule {
  Index groups = 1;
  float floor = 1e-12f;
};

// Weight is float, bf16 or f16.
template <class Weight>
void unit_rows(Reference, View<const float, 2> x, UnitRule rule, View<const Weight, 1> scale,
               View<float, 2> y);

// Backward, without a scale; of dy no more is left than what is across the group:
//
//   dx[t,d] += ( dy[t,d] - y[t,d] sum_{i in g} dy[t,i] y[t,i] ) / |g|
//
// A group that is shorter than the floor was divided by a constant, so there it is dy[t,d] / floor.
void unit_rows_backward(Reference, View<const float, 2> x, UnitRule rule, View<const float, 2> dy,
                        View<float, 2> dx);

}  // namespace paligemma
