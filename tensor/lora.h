// LoRA: a linear layer is changed by the product of two thin matrices, which are kept beside it.
//
//   low[t,k] = sum_i a[k,i] x[t,i]
//   y[t,o]   = magnitude[o] y[t,o] + sum_k low[t,k] b[k,o] + bias[o]
//
//   x          [T, I]   what the layer reads
//   a          [r, I]   r, the rank, is 4 to 64 where I and O are thousands
//   b          [r, O]   times alpha / r, and in DoRA times the magnitude; it is read row by row
//   magnitude  [O]      DoRA's length of a row over the length it would have; LoRA has none
//   bias       [O]      the layer's own and the adapter's, or nothing
//   y          [T, O]   in: the layer's product without its bias
//
// Backward, from dy [T, O], where there is no magnitude:
//
//   dlow[t,k] = sum_o dy[t,o] b[k,o]
//   dx[t,i]  += sum_k dlow[t,k] a[k,i]           beside what comes back through the layer's own weights
//   da[k,i]  += sum_t dlow[t,k] x[t,i]
//   db[k,o]  += sum_t low[t,k] dy[t,o]
//
// Unmerged, the large matrix stays as it is, in whatever format, and may serve several adapters. Merged, W + B A
// takes its place (paligemma/merge.h).
//
// Papers: Hu et al. 2021, "LoRA: low-rank adaptation of large language models", eq. 3; Kalajdzievski 2023, "A
// rank stabilization scaling factor for fine-tuning with LoRA" (alpha / sqrt(r)); Liu et al. 2024, "DoRA:
// weight-decomposed low-rank adaptation", eq. 5.
//
// Read next: siglip/mlp.h.
#pragma once

#include "tensor/linear.h"

namespace paligemma {

// The second line, from low [T, r]. Of an embedding low is rows of a, which is [V, r] there: a word is looked
// up in it as it is in the table.
void add_low_rank(Reference, View<const float, 2> low, const Lora<HostWeights<float>>& w,
                  View<float, 2> y);

template <class On, class X, class W, class Y>
void lora(const On& on, const X& x, const Lora<W>& w, const Y& y) {
  ScratchOn<On, float, 2> low(on, {x.size(0), w.a.size(0)});
  linear(on, x, Linear<W>{w.a}, low.view());
  add_low_rank(on, low.view(), w, y);
}

// low is computed again. Nothing of dw is where the adapter is frozen too.
template <class On, class X, class W, class Dy, class Dx>
void lora_backward(const On& on, const X& x, const Lora<W>& w, const Dy& dy, const Dx& dx,
                   const Lora<HostGradients>* dw) {
  PG_CHECK(w.magnitude.data() == nullptr, "a magnitude is not learned");
  ScratchOn<On, float, 2> low(on, {x.size(0), w.a.size(0)}), dlow(on, {x.size(0), w.a.size(0)});
  linear(on, dy, Linear<W>{w.b}, dlow.view());
  linear_backward(on, x, Linear<W>{w.a}, dlow.view(), dx,
                  Linear<HostGradients>{dw != nullptr ? dw->a : View<float, 2>()});
  if (dw == nullptr || dw->b.data() == nullptr) return;
  linear(on, x, Linear<W>{w.a}, low.view());
  linear_backward(on, dy, Linear<W>{w.b}, low.view(), Dx(), Linear<HostGradients>{dw->b});
}

// What every executor asks of low, the adapter and y.
template <class Low, class W, class Y>
void check_low_rank(const Low& low, const Lora<W>& w, const Y& y) {
  const Index T = y.size(0), O = y.size(1);
  PG_CHECK(low.size(0) == T && low.size(1) == w.b.size(0) && w.b.size(1) == O,
           "low " + shape_text(low) + ", b " + shape_text(w.b) + ", y " + shape_text(y));
  PG_CHECK(low.is_row_major() && w.b.is_row_major() && y.stride()[1] == 1,
           "rows must be contiguous");
  const auto fits = [O](const auto& vector) {
    return vector.data() == nullptr || vector.size(0) == O;
  };
  PG_CHECK(fits(w.magnitude), "y " + shape_text(y) + ", magnitude " + shape_text(w.magnitude));
  PG_CHECK(fits(w.bias), "y " + shape_text(y) + ", bias " + shape_text(w.bias));
}

}  // namespace paligemma
