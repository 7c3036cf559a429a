// What fast/tensor/linear.cpp hands to the kernels of the way back. Sizes have been checked.
#pragma once

#include "fast/core/fast.h"
#include "tensor/numbers.h"
#include "tensor/view.h"

namespace paligemma {

//   y[m,n] += sum_k a[m,k] b[k,n]
//
// b has rows of n, as weights have where the sum goes over their outputs, and as x has where it goes over tokens. a may
// lie by rows or by columns.
template <class Number>
struct ProductWork {
  const float* a;
  Index a_row, a_next;  // from a[m,k] to a[m+1,k], and to a[m,k+1]
  const Number* b;      // [K, N]
  float* y;             // [M, N]
  Index M, K, N;
};

struct ProductKernels {
  void (*f32)(const Fast&, const ProductWork<float>&);
  void (*bf16)(const Fast&, const ProductWork<bf16>&);
  void (*f16)(const Fast&, const ProductWork<f16>&);
};

}  // namespace paligemma
