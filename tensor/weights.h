// How an executor sees the weights of a model: a matrix type and a vector type, and the linear layers made
// of them. Composites are templates over it and never ask further, so that weights may be stored floats,
// or quantised, or on a device.
#pragma once

#include <string>
#include <type_traits>
#include <vector>

#include "tensor/buffer.h"
#include "tensor/execution.h"
#include "tensor/numbers.h"
#include "tensor/view.h"

namespace paligemma {

struct Int8Block;  // tensor/quantized_linear.h
struct Int4Block;

// Weights in host memory, each number a `Real`: float, bf16 or f16.
template <class Real>
struct HostWeights {
  using Matrix = View<const Real, 2>;
  using Vector = View<const Real, 1>;
  using Vision = HostWeights;         // how the vision tower's weights are kept
  using Floats = HostWeights<float>;  // what an adapter's are
};

// Where gradients of weights are summed up, in structures like those of the weights. A view of nothing belongs to
// weights that are not learned.
struct HostGradients {
  using Matrix = View<float, 2>;
  using Vector = View<float, 1>;
  using Vision = HostGradients;
  using Floats = HostGradients;
};

// The language model's matrices as blocks of 8 or 4 bits; everything else as bf16.
template <class Block>
struct QuantizedWeights {
  using Matrix = View<const Block, 2>;
  using Vector = View<const bf16, 1>;
  using Vision = HostWeights<bf16>;
  using Floats = HostWeights<float>;
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

// What an adapter makes of a linear layer, tensor/lora.h.
template <class W>
struct Lora {
  typename W::Matrix a;               // [r, I]; of an embedding [V, r]
  typename W::Matrix b;               // [r, O]
  typename W::Vector magnitude = {};  // [O], or nothing
  typename W::Vector bias = {};       // [O], or nothing
};

// One linear layer, tensor/linear.h. With an adapter the bias is the adapter's.
template <class W>
struct Linear {
  typename W::Matrix weight;     // [O, I]
  typename W::Vector bias = {};  // [O], or nothing
  const Lora<typename W::Floats>* adapter = nullptr;
};

// One tensor that a checkpoint must hold.
struct ExpectedTensor {
  std::string name;
  std::vector<Index> shape;
};

// Linear{weight.view(), bias.view()}
template <class Real>
Linear(View<Real, 2>) -> Linear<WeightsOn<Reference, std::remove_const_t<Real>>>;
template <class Real, class Other>
Linear(View<Real, 2>, View<Other, 1>) -> Linear<WeightsOn<Reference, std::remove_const_t<Real>>>;

}  // namespace paligemma
