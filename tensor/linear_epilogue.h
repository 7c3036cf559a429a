// The epilogue of linear layers (tensor/linear.h) as a second loop over finished sums: the reference, and
// whatever a faster version does not end in its registers.
#pragma once

#include <string>

#include "tensor/buffer.h"
#include "tensor/lora.h"

namespace paligemma {

// `columns` is what a row of weights has for a row of x.
template <class W>
void check_linear(View<const float, 2> x, const Linear<W>& w, Index columns, View<float, 2> y,
                  const Epilogue<W>& epilogue) {
  const auto sizes = [&] {
    return "x " + shape_text(x) + ", weight " + shape_text(w.weight) + ", y " + shape_text(y);
  };
  PG_CHECK(w.weight.size(1) == columns, sizes());
  PG_CHECK(y.size(0) == x.size(0) && y.size(1) == w.weight.size(0), sizes());
  PG_CHECK(x.is_row_major() && w.weight.is_row_major() && y.stride()[1] == 1,
           "rows must be contiguous");
  PG_CHECK(w.bias.data() == nullptr || w.bias.size(0) == w.weight.size(0),
           "weight " + shape_text(w.weight) + ", bias " + shape_text(w.bias));
  PG_CHECK(w.adapter == nullptr || w.bias.data() == nullptr, "an adapter has the bias");
  if (epilogue.gate == nullptr) return;
  PG_CHECK(epilogue.activation.has_value(), "a gate has an activation");
  check_linear(x, *epilogue.gate, columns, y, {});
}

template <class W>
void check_linear_backward(View<const float, 2> x, const Linear<W>& w, Index columns,
                           View<const float, 2> dy, View<float, 2> dx,
                           const Linear<HostGradients>& dw) {
  const Index T = x.size(0), I = x.size(1), O = w.weight.size(0);
  const std::string sizes = "x " + shape_text(x) + ", weight " + shape_text(w.weight) + ", dy " +
                            shape_text(dy) + ", dx " + shape_text(dx) + ", dweight " +
                            shape_text(dw.weight) + ", dbias " + shape_text(dw.bias);
  PG_CHECK(w.weight.size(1) == columns && dy.size(0) == T && dy.size(1) == O, sizes);
  PG_CHECK(dx.data() == nullptr || dx.shape() == x.shape(), sizes);
  PG_CHECK(dw.weight.data() == nullptr || (dw.weight.size(0) == O && dw.weight.size(1) == I),
           sizes);
  PG_CHECK(dw.bias.data() == nullptr || dw.bias.size(0) == O, sizes);
  const auto is_fit = [](const auto& view) {
    return view.data() == nullptr || view.is_row_major();
  };
  PG_CHECK(x.is_row_major() && w.weight.is_row_major() && dy.is_row_major() && is_fit(dx) &&
               is_fit(dw.weight),
           "rows must be contiguous");
}

// y[t,o] of sums[t,o], and of gates[t,o] where there is a gate.
template <class W>
void end_sums(View<const float, 2> sums, View<const float, 2> gates, const Epilogue<W>& epilogue,
              View<float, 2> y) {
  for (Index t = 0; t < y.size(0); ++t) {
    for (Index o = 0; o < y.size(1); ++o) {
      float value = sums(t, o);
      if (epilogue.gate != nullptr) {
        value *= gelu(*epilogue.activation, gates(t, o));
      } else if (epilogue.activation) {
        value = gelu(*epilogue.activation, value);
      }
      y(t, o) = epilogue.add ? y(t, o) + value : value;
    }
  }
}

// Calls products(layer, sums) for one layer or two, and ends their sums.
template <class W, class Products>
void with_epilogue(View<const float, 2> x, const Linear<W>& w, const Epilogue<W>& epilogue,
                   View<float, 2> y, const Products& multiply) {
  const auto products = [&](const Linear<W>& layer, View<float, 2> sums) {
    multiply(layer, sums);
    if (layer.adapter != nullptr) lora(reference, x, *layer.adapter, sums);
  };
  if (!epilogue.add && epilogue.gate == nullptr) {
    products(w, y);
    if (epilogue.activation) end_sums<W>(y, {}, epilogue, y);
    return;
  }
  Buffer<float, 2> sums(y.shape(), unwritten);
  products(w, sums.view());
  if (epilogue.gate == nullptr) return end_sums<W>(sums.view(), {}, epilogue, y);
  Buffer<float, 2> gates(y.shape(), unwritten);
  products(*epilogue.gate, gates.view());
  end_sums<W>(sums.view(), gates.view(), epilogue, y);
}

}  // namespace paligemma
