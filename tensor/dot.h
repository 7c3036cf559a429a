// The inner product of two rows: what linear and attention spend their time on.
#pragma once

#include "tensor/view.h"

namespace paligemma {

// The pragma allows the compiler to keep several partial sums, one per vector lane, and to add them
// at the end; without it the terms would have to be added one after another.
inline float dot(const float* a, const float* b, Index n) {
  float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
  for (Index i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace paligemma
