// MaxSim on the CPU, fast. The contract is colpali/max_sim.h's. Where rows of pages are bf16 and the processor
// multiplies bf16, q is rounded to bf16; otherwise nothing is rounded.
#pragma once

#include "colpali/max_sim.h"
#include "fast/core/fast.h"

namespace paligemma {

template <class Row>
void max_sim(const Fast& on, View<const float, 2> q, View<const Row, 2> rows,
             View<const Index, 1> first, View<float, 1> scores);

}  // namespace paligemma
