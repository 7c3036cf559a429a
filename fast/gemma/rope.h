// RoPE on the CPU, fast: gemma/rope.h with the cosines and sines of every position computed once per
// process, instead of once per layer.
#pragma once

#include "gemma/rope.h"

namespace paligemma {

void rope(Fast, Index first_position, float theta, View<float, 3> x);

}  // namespace paligemma
