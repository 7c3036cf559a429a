// Weights in device memory, each number a `Real`: what a Stream reads (tensor/weights.h).
#pragma once

#include "cuda/core/stream.h"
#include "tensor/weights.h"

namespace paligemma {
namespace cuda {

template <class Real>
struct DeviceWeights {
  using Matrix = DeviceView<const Real, 2>;
  using Vector = DeviceView<const Real, 1>;
  using Vision = DeviceWeights;
  using Floats = DeviceWeights<float>;
};

}  // namespace cuda

template <class Real>
struct WeightsOf<cuda::Stream, Real> {
  using Type = cuda::DeviceWeights<Real>;
};

template <class Real>
Linear(DeviceView<Real, 2>) -> Linear<cuda::DeviceWeights<std::remove_const_t<Real>>>;
template <class Real, class Other>
Linear(DeviceView<Real, 2>, DeviceView<Other, 1>)
    -> Linear<cuda::DeviceWeights<std::remove_const_t<Real>>>;

}  // namespace paligemma
