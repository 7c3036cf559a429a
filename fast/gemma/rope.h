// RoPE on the CPU, fast: gemma/rope.h with the cosines and sines of every position computed once,
// instead of once per layer.
#pragma once

#include "fast/core/fast.h"
#include "gemma/rope.h"

namespace paligemma {

void rope(const Fast&, Index first_position, float theta, View<float, 3> x);

}  // namespace paligemma
