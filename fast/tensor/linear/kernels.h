// The kernels of this folder, one file for each instruction set. Sizes have been checked.
#pragma once

#include "tensor/view.h"

namespace paligemma {

// y [T, O] = x [T, I] times the transpose of weight [O, I], + bias [O] unless it is null.
template <class Weight>
struct LinearWork {
  const float* x;
  const Weight *weight, *bias;
  float* y;
  Index T, O, I;
  Index y_stride;  // from a row of y to the next
};

template <class Weight>
void linear_portable(const LinearWork<Weight>& work);
template <class Weight>
void linear_avx2(const LinearWork<Weight>& work);
template <class Weight>
void linear_avx512(const LinearWork<Weight>& work);

}  // namespace paligemma
