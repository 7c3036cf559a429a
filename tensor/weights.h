// How an executor sees the weights of a model: a matrix type and a vector type. Composites are
// templates over it and never ask further, so that weights may be stored floats, or quantised, or
// on a device.
#pragma once

#include "tensor/buffer.h"
#include "tensor/execution.h"
#include "tensor/numbers.h"
#include "tensor/quantized_linear.h"
#include "tensor/view.h"

namespace paligemma {

// Weights in host memory, each number a `Real`: float, bf16 or f16.
template <class Real>
struct HostWeights {
  using Matrix = View<const Real, 2>;
  using Vector = View<const Real, 1>;
  using Vision = HostWeights;  // how the vision tower's weights are kept
};

// The language model's matrices as blocks of 8 or 4 bits; everything else as bf16.
template <class Block>
struct QuantizedWeights {
  using Matrix = View<const Block, 2>;
  using Vector = View<const bf16, 1>;
  using Vision = HostWeights<bf16>;
};

// What an executor reads weights as. One with a memory of its own specialises this.
template <class On, class Real>
struct WeightsOf {
  using Type = HostWeights<Real>;
};
template <OnHost On>
struct WeightsOf<On, Int8Block> {
  using Type = QuantizedWeights<Int8Block>;
};
template <OnHost On>
struct WeightsOf<On, Int4Block> {
  using Type = QuantizedWeights<Int4Block>;
};
template <class On, class Real>
using WeightsOn = typename WeightsOf<On, Real>::Type;

// One linear layer: y = x weight^T + bias.
template <class W>
struct LinearWeights {
  typename W::Matrix weight;  // [O, I]
  typename W::Vector bias;    // [O]
};

}  // namespace paligemma
