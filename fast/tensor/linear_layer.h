// From the contract of a linear layer to the work of a kernel: what fast/tensor/linear.cpp and
// quantized_linear.cpp share.
#pragma once

#include <vector>

#include "fast/core/rows.h"
#include "fast/tensor/linear_work.h"
#include "tensor/linear_epilogue.h"

namespace paligemma {
namespace {

// A bias as floats; nothing of nothing.
template <class Number>
std::vector<float> widened(View<const Number, 1> bias) {
  std::vector<float> numbers;
  if (bias.data() == nullptr) return numbers;
  for (Index o = 0; o < bias.size(0); ++o) numbers.push_back(widen(bias(o)));
  return numbers;
}

// Calls run(work) with work that kernels understand, and does itself what they do not: adding to what is in y,
// and the exact form of GELU.
template <class W, class Run>
void run_layer(const Fast& on, View<const float, 2> x, const Linear<W>& w, View<float, 2> y,
               const Epilogue<W>& epilogue, const Run& run) {
  const auto multiply = [&](const Linear<W>& layer, const Linear<W>* gate, bool bends,
                            View<float, 2> to) {
    const std::vector<float> bias = widened(layer.bias);
    const std::vector<float> gate_bias = gate ? widened(gate->bias) : std::vector<float>();
    const auto numbers = [](const auto& v) { return v.empty() ? nullptr : v.data(); };
    run({x.data(), layer.weight.data(), numbers(bias), gate ? gate->weight.data() : nullptr,
         numbers(gate_bias), bends, to.data(), x.size(0), layer.weight.size(0), x.size(1),
         to.stride()[0]});
  };
  const bool bends = epilogue.activation == GeluForm::tanh;
  if (!epilogue.add && (bends || !epilogue.activation)) {
    return multiply(w, epilogue.gate, bends, y);
  }

  const Index T = y.size(0), O = y.size(1);
  Buffer<float, 2> sums({T, O}, unwritten), gates({epilogue.gate ? T : 0, O}, unwritten);
  multiply(w, nullptr, false, sums.view());
  if (epilogue.gate) multiply(*epilogue.gate, nullptr, false, gates.view());
  for_each_row(on, T, O, [&](Index t) {
    const auto row = [t](View<float, 2> rows) { return rows.rows(t, t + 1); };
    const auto gate = epilogue.gate ? row(gates.view()) : View<float, 2>();
    end_sums<W>(row(sums.view()), gate, epilogue, row(y));
  });
}

}  // namespace
}  // namespace paligemma
