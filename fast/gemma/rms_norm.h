// RMSNorm on the CPU, fast: gemma/rms_norm.h with a row for each thread and four lanes.
#pragma once

#include "fast/core/fast.h"
#include "gemma/rms_norm.h"

namespace paligemma {

template <class Weight>
void rms_norm(const Fast&, View<const float, 2> x, View<const Weight, 1> scale, RmsNormRule rule,
              View<float, 2> y);

}  // namespace paligemma
