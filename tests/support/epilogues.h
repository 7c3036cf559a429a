// Every epilogue that a linear layer may have.
#pragma once

#include <vector>

#include "gemma/geglu.h"
#include "tensor/buffer.h"
#include "tensor/gelu.h"
#include "tensor/linear.h"
#include "tensor/residual_add.h"

namespace paligemma::test {

// With each of the gates, and with none.
template <class W, int Gates>
std::vector<Epilogue<W>> every_epilogue(const Linear<W> (&gates)[Gates]) {
  std::vector<Epilogue<W>> all;
  for (const bool add : {false, true}) {
    all.push_back({.add = add});
    for (const GeluForm form : {GeluForm::tanh, GeluForm::exact}) {
      all.push_back({.activation = form, .add = add});
      for (const Linear<W>& gate : gates) {
        all.push_back({.activation = form, .gate = &gate, .add = add});
      }
    }
  }
  return all;
}

// What the leaves that an epilogue stands for make of a layer's product, and of what was there before.
inline Buffer<float, 2> by_leaves(View<const float, 2> x, const Linear<HostWeights<float>>& layer,
                                  const Epilogue<HostWeights<float>>& epilogue,
                                  View<const float, 2> before) {
  Buffer<float, 2> y(before.shape()), gate(before.shape());
  linear(reference, x, layer, y.view());
  if (epilogue.gate != nullptr) {
    linear(reference, x, *epilogue.gate, gate.view());
    geglu(reference, *epilogue.activation, gate.view(), y.view(), y.view());
  } else if (epilogue.activation) {
    gelu(reference, *epilogue.activation, y.view(), y.view());
  }
  if (epilogue.add) residual_add(reference, before, y.view());
  return y;
}

}  // namespace paligemma::test
