// From the contract of a linear layer to the work of a kernel: what fast/tensor/linear.cpp and
// quantized_linear.cpp share.
#pragma once

#include <vector>

#include "fast/core/kernels.h"
#include "fast/core/rows.h"
#include "fast/tensor/linear.h"
#include "fast/tensor/linear_work.h"
#include "fast/tensor/lora.h"
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

// A layer with an adapter, or with a gate that has one, and GELU's tanh form: the sums of both, which one more pass
// adapts and ends.
template <class W, class Multiply>
void end_adapted(const Fast& on, View<const float, 2> x, const Linear<W>& w, View<float, 2> y,
                 const Epilogue<W>& epilogue, const Multiply& multiply) {
  const Index T = y.size(0), O = y.size(1);
  const auto sums_of = [&](const Linear<W>& layer, View<float, 2> sums, Buffer<float, 2>& low) {
    multiply(layer, nullptr, false, sums);
    if (layer.adapter == nullptr) return AdaptedSums{sums.data(), sums.stride()[0]};
    low = Buffer<float, 2>({T, layer.adapter->a.size(0)}, unwritten);
    linear(on, x, Linear<HostWeights<float>>{layer.adapter->a}, low.view());
    return adapted_sums(sums, low.view(), *layer.adapter);
  };
  Buffer<float, 2> low({0, 0}), gate_low({0, 0});
  AdaptedSums gate{};
  if (epilogue.gate != nullptr) {
    auto* const gates = static_cast<float*>(
        on.scratch(0, Scratch::gates, static_cast<std::size_t>(T * O) * sizeof(float)));
    gate = sums_of(*epilogue.gate, View<float, 2>(gates, {T, O}), gate_low);
  }
  on.kernels().linear.adapted(on, {sums_of(w, y, low), epilogue.gate != nullptr ? &gate : nullptr,
                                   true, y.data(), T, O, y.stride()[0]});
}

// Calls run(work) with work that kernels understand, and does itself what they do not: adding to what is in y,
// the exact form of GELU, and adapters.
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
  const auto sums_of = [&](const Linear<W>& layer, View<float, 2> sums) {
    multiply(layer, nullptr, false, sums);
    if (layer.adapter != nullptr) lora(on, x, *layer.adapter, sums);
  };
  const bool bends = epilogue.activation == GeluForm::tanh;
  if (!epilogue.add && !epilogue.activation) return sums_of(w, y);
  const bool adapted = w.adapter || (epilogue.gate && epilogue.gate->adapter);
  if (!epilogue.add && bends) {
    return adapted ? end_adapted(on, x, w, y, epilogue, multiply)
                   : multiply(w, epilogue.gate, bends, y);
  }

  const Index T = y.size(0), O = y.size(1);
  Buffer<float, 2> sums({T, O}, unwritten), gates({epilogue.gate ? T : 0, O}, unwritten);
  sums_of(w, sums.view());
  if (epilogue.gate) sums_of(*epilogue.gate, gates.view());
  for_each_row(on, T, O, [&](Index t) {
    const auto row = [t](View<float, 2> rows) { return rows.rows(t, t + 1); };
    const auto gate = epilogue.gate ? row(gates.view()) : View<float, 2>();
    end_sums<W>(row(sums.view()), gate, epilogue, row(y));
  });
}

}  // namespace
}  // namespace paligemma
