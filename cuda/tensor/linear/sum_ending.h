// What becomes of a sum of products before it is stored. Included by kernels only.
#pragma once

#include "cuda/core/gpu.h"
#include "tensor/gelu.h"
#include "tensor/numbers.h"

namespace paligemma::cuda {

enum class Ending { store, gelu_tanh, gelu_exact, add };

// y[t][o] = sum + bias[o], its gelu, or that added to what is there. All threads of a launch take the
// same way, so the choices cost a few instructions per output and no second pass over y.
template <class Weight>
struct SumEnding {
  const Weight* bias;  // or null
  Ending ending;
  float* y;
  Index stride;  // from a row of y to the next

  __device__ void operator()(Index t, Index o, float sum) const {
    if (bias != nullptr) sum += widen(bias[o]);
    if (ending == Ending::gelu_tanh) sum = gelu(GeluForm::tanh, sum);
    if (ending == Ending::gelu_exact) sum = gelu(GeluForm::exact, sum);
    float& out = y[t * stride + o];
    out = ending == Ending::add ? out + sum : sum;
  }
};

}  // namespace paligemma::cuda
