// The soft cap on the CPU, fast: gemma/soft_cap.h by all lanes and threads.
#pragma once

#include "fast/core/fast.h"
#include "gemma/soft_cap.h"

namespace paligemma {

void soft_cap(const Fast&, float cap, View<float, 2> x);

}  // namespace paligemma
