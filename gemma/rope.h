// RoPE, rotary position embedding: turn pairs of features by an angle that grows with the position,
// so that the product of a query and a key depends on how far apart they are.
//
//   x'[j]       = x[j] cos a - x[j + H/2] sin a        a = position * theta^(-2j/H)
//   x'[j + H/2] = x[j + H/2] cos a + x[j] sin a        0 <= j < H/2
//
//   x         [T, N, H]   rotated where it stands; row t is at position first_position + t
//   theta     10000 in every published checkpoint
//
// Paper: Su et al. 2021, "RoFormer", eq. 34. The paper pairs neighbours, (0,1), (2,3), ...; Gemma
// pairs the two halves, j with j + H/2, and its weights are good for that pairing only. Angles are
// float, and the frequencies are rounded to float first, as in the original implementation.
//
// Read next: gemma/repeat_kv.h.
#pragma once

#include "tensor/execution.h"
#include "tensor/view.h"

namespace paligemma {

void rope(Reference, Index first_position, float theta, View<float, 3> x);

// Backward: the gradient, where it stands, is turned back by the same angles.
//
//   dx[j]       = dx'[j] cos a + dx'[j + H/2] sin a
//   dx[j + H/2] = dx'[j + H/2] cos a - dx'[j] sin a
void rope_backward(Reference, Index first_position, float theta, View<float, 3> dx);

}  // namespace paligemma
