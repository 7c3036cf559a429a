// GeGLU: one half of the hidden features decides how much of the other half passes.
//
//   y[t,f] = gelu(gate[t,f]) up[t,f]
//
//   gate, up  [T, F]   two projections of the same row, F = 16384 in Gemma 2B
//   y         [T, F]   may be gate or up
//
// Paper: Shazeer 2020, "GLU variants improve transformer", eq. 6. The gate gets the GELU, the other
// factor does not. Gemma uses the tanh form; its report counts gate and up together (32768).
//
// Read next: gemma/logits.h.
#pragma once

#include "tensor/execution.h"
#include "tensor/gelu.h"
#include "tensor/view.h"

namespace paligemma {

void geglu(Reference, GeluForm form, View<const float, 2> gate, View<const float, 2> up,
           View<float, 2> y);

// Backward, from dy [T, F]:
//
//   dgate[t,f] = dy[t,f] gelu'(gate[t,f]) up[t,f]
//   dup[t,f]   = dy[t,f] gelu(gate[t,f])
//
//   dgate, dup   may be gate and up, or one of them dy
void geglu_backward(Reference, GeluForm form, View<const float, 2> gate, View<const float, 2> up,
                    View<const float, 2> dy, View<float, 2> dgate, View<float, 2> dup);

}  // namespace paligemma
