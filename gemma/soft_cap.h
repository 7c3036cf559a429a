// Soft cap: squeeze numbers into (-cap, cap) without a corner, keeping their order.
//
//   x[t,v] = cap tanh(x[t,v] / cap)
//
//   x    [T, V]   changed where it stands
//   cap  30 for the logits of Gemma 2; Gemma 1 has none
//
// Paper: Gemma Team 2024, "Gemma 2", section 2 ("Logit soft-capping"); Bello et al. 2016, "Neural
// combinatorial optimization", section 5. The same function stands inside attention, with cap 50,
// on the scores before the mask. Greedy decoding does not notice the cap on logits; sampling does.
//
// Read next: gemma/sampler.h.
#pragma once

#include "tensor/execution.h"
#include "tensor/scaled_dot_product_attention.h"  // soft_capped
#include "tensor/view.h"

namespace paligemma {

void soft_cap(Reference, float cap, View<float, 2> x);

// Backward, from what stands in x afterwards; dx is changed where it stands:
//
//   dx[t,v] = dx[t,v] (1 - (x[t,v] / cap)^2)
void soft_cap_backward(Reference, float cap, View<const float, 2> x, View<float, 2> dx);

}  // namespace paligemma
