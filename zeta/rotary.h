// Rotary positions and xPos: turn pairs of features by an angle that grows with the position, and
// stretch queries and keys so that a product fades with the distance.
//
//   x'[j]       = c (x[j] cos a - x[j + R/2] sin a)      a = p / interpolation * base^(-2j/R)
//   x'[j + R/2] = c (x[j + R/2] cos a + x[j] sin a)      p = first_position + t, 0 <= j < R/2
//
//   c = s^((p - xpos_centre) / xpos_scale_base)          of a query; of a key 1 / that
//   s = (2j + 0.4 R) / (1.4 R)                           without xPos c = 1
//
//   x  [T, N, R]   turned where it stands: the first R features of each of N heads
//
// Papers: Su et al. 2021, "RoFormer", eq. 34, with halves paired, as gemma/rope.h has it; Sun et al.
// 2022, "A length-extrapolatable Transformer", section 3.2 (xPos); Chen et al. 2023, "Extending context
// window of large language models via positional interpolation", section 2.3.
// Angles and c are float, and base^(-2j/R) and s are rounded to float first, as in the original.
//
// Read next: zeta/sinusoid.h.
#pragma once

#include "tensor/execution.h"
#include "tensor/view.h"

namespace paligemma {

struct RotaryRule {
  float base = 10000;
  float interpolation = 1;
  float xpos_scale_base = 0;  // 512 in xPos; 0: there is none
  Index xpos_centre = 0;      // the position where c = 1
};

enum class Turn { query, key };

void rotary(Reference, Index first_position, const RotaryRule& rule, Turn turn, View<float, 3> x);

}  // namespace paligemma
