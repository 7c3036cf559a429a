// What fast/colpali/max_sim.cpp hands to kernels. Sizes have been checked.
#pragma once

#include "fast/core/fast.h"
#include "tensor/numbers.h"
#include "tensor/view.h"

namespace paligemma {

template <class Row>
struct MaxSimWork {
  const float* q;
  const Row* rows;
  const Index* first;  // [P + 1]
  float* scores;       // [P]
  Index T, W, P;
  Index q_stride, row_stride;  // from a row to the next
};

struct MaxSimKernels {
  void (*f32)(const Fast&, const MaxSimWork<float>&);
  void (*bf16)(const Fast&, const MaxSimWork<paligemma::bf16>&);
  void (*f16)(const Fast&, const MaxSimWork<paligemma::f16>&);
};

}  // namespace paligemma
