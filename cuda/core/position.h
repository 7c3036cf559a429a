// Position: a number that a kernel is given, or finds in device memory. A recorded graph keeps the
// arguments of its kernels, so that what grows from token to token must stand there (graph.h).
// Included by kernels only.
#pragma once

#include "cuda/core/gpu.h"
#include "tensor/view.h"

namespace paligemma::cuda {

struct Position {
  Index given;
  const Index* there = nullptr;  // used in its place, unless null

  __device__ Index value() const { return there != nullptr ? *there : given; }
};

}  // namespace paligemma::cuda
