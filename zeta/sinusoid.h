// Sinusoidal positions: add waves of many lengths, which together tell each row where it is.
//
//   y[t, i]       += scale sin a      a = positions[t] * 10000^(-2i/E)
//   y[t, i + E/2] += scale cos a      0 <= i < E/2
//
//   positions  [T]      any numbers, as ids of tokens are: 0, 1, 2, ... unless a caller says otherwise
//   scale               learned, one number for all
//   y          [T, E]   the embedded tokens; E is even
//
// Paper: Vaswani et al. 2017, "Attention is all you need", section 3.5, which has sines and cosines in
// turns and a scale of 1. Angles are float, and frequencies are rounded to float first.
//
// Read next: zeta/alibi.h.
#pragma once

#include "tensor/execution.h"
#include "tensor/view.h"

namespace paligemma {

void sinusoid(Reference, View<const int, 1> positions, float scale, View<float, 2> y);

}  // namespace paligemma
