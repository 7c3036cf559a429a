// How fast the angle of a pair of features grows. Included by kernels only.
#pragma once

#include "cuda/core/gpu.h"

namespace paligemma::cuda {

// theta^(-2j/H) in double, rounded once: as in the original, and as the reference has it.
__device__ inline float frequency_of(int j, int H, float theta) {
  const double exponent = -2.0 * static_cast<double>(j) / static_cast<double>(H);
  return static_cast<float>(pow(static_cast<double>(theta), exponent));
}

}  // namespace paligemma::cuda
