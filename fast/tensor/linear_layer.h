// From the contract of a linear layer to the work of a kernel: what fast/tensor/linear.cpp and
// quantized_linear.cpp share.
#pragma once

#include <vector>

#include "fast/core/rows.h"
#include "fast/tensor/linear.h"
#include "fast/tensor/linear_work.h"
#include "fast/tensor/lora.h"
#include "tensor/linear_epilogue.h"

namespace paligemma {
namespace {

// What makes the sums of a layer, if there is one, whole: its bias as floats, and what its adapter makes of x.
class LayerRemainder {
 public:
  template <class W>
  LayerRemainder(const Fast& on, View<const float, 2> x, const Linear<W>* layer, View<float, 2> y) {
    if (layer == nullptr) return;
    if (layer->adapter == nullptr) {
      for (Index o = 0; layer->bias.data() != nullptr && o < layer->bias.size(0); ++o) {
        bias_.push_back(widen(layer->bias(o)));
      }
      if (!bias_.empty()) whole_.bias = bias_.data();
      return;
    }
    const Lora<HostWeights<float>>& adapter = *layer->adapter;
    low_ = Buffer<float, 2>({x.size(0), adapter.a.size(0)}, unwritten);
    linear(on, x, Linear<HostWeights<float>>{adapter.a}, low_.view());
    check_low_rank(low_.view(), adapter, y);
    whole_ = remainder_of(low_.view(), adapter);
  }

  const Remainder& whole() const { return whole_; }

 private:
  std::vector<float> bias_;
  Buffer<float, 2> low_{{0, 0}};
  Remainder whole_;
};

// Calls run(work) with work that kernels understand, and does itself what they do not: adding to what is in y, and the
// exact form of GELU.
template <class W, class Run>
void run_layer(const Fast& on, View<const float, 2> x, const Linear<W>& w, View<float, 2> y,
               const Epilogue<W>& epilogue, const Run& run) {
  const auto multiply = [&](const Linear<W>& layer, const Linear<W>* gate, bool bends,
                            View<float, 2> to) {
    const LayerRemainder remainder(on, x, &layer, to), gate_remainder(on, x, gate, to);
    run({x.data(), layer.weight.data(), remainder.whole(),
         gate != nullptr ? gate->weight.data() : nullptr, gate_remainder.whole(), bends, to.data(),
         x.size(0), layer.weight.size(0), x.size(1), to.stride()[0]});
  };
  const bool bends = epilogue.activation == GeluForm::tanh;
  if (!epilogue.add && (bends || !epilogue.activation)) return multiply(w, epilogue.gate, bends, y);

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
