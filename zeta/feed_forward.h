// Feed-forward: each row by itself, widened, bent and narrowed again.
//
//   y = linear( activation( linear(x) ) )                  D -> F -> D
//   y = linear( linear(x) * activation( linear(x) ) )      gated: GEGLU, SwiGLU
//
// A gated one stores both first layers as one matrix [2 F, D]: its first half is the value, its second the
// gate.
//
// Paper: Vaswani et al. 2017, "Attention is all you need", section 3.3; Shazeer 2020, "GLU variants improve
// transformer"; So et al. 2021, "Primer", for the squared ReLU.
//
// Read next: tensor/multiply.h.
#pragma once

#include "tensor/linear.h"
#include "tensor/multiply.h"
#include "tensor/weights.h"
#include "zeta/norm.h"
#include "zeta/scratch.h"

namespace paligemma::zeta {

template <class W>
struct FeedForwardWeights {
  Linear<W> up;                    // [F, D]
  Linear<W> gate = {};             // [F, D], where it is gated
  Linear<W> down;                  // [D, F]
  typename W::Vector factor = {};  // [F]   ff_glu_mult_bias
  NormWeights<W> hidden_norm = {};
};

// x becomes activation(x) where it stands: all of them are x times something of x, but for GELU, which linear
// layers have in their epilogue.
template <class On>
void activate(const On& on, Activation activation, RowsOn<On> x) {
  const Gate gate = activation == Activation::silu ? Gate::sigmoid : Gate::relu;
  multiply(on, ConstRowsOn<On>(x), MultiplyRule{gate}, x);
}

// Reads `input` [T, D], writes s.branch.
template <class On, class W>
void feed_forward(const On& on, const FeedForwardWeights<W>& w, const FeedForwardShape& shape,
                  ConstRowsOn<On> input, LayersScratch<On>& s) {
  const auto rows = [T = input.size(0)](auto& buffer) { return buffer.view().rows(0, T); };
  const auto hidden = rows(s.hidden), branch = rows(s.branch);
  if (shape.activation == Activation::gelu) {
    linear(on, input, w.up, hidden,
           {.activation = GeluForm::exact, .gate = shape.gated ? &w.gate : nullptr});
  } else {
    linear(on, input, w.up, hidden);
    if (shape.gated) linear(on, input, w.gate, rows(s.gate));
    activate(on, shape.activation, shape.gated ? rows(s.gate) : hidden);
    if (shape.gated) multiply(on, ConstRowsOn<On>(rows(s.gate)), MultiplyRule{}, hidden);
  }
  if (shape.gate_scale) multiply(on, row_of(w.factor), MultiplyRule{}, hidden);
  if (shape.norm_hidden) norm(on, NormKind::layer, w.hidden_norm, hidden, hidden);
  linear(on, hidden, w.down, branch);
  if (shape.factor != 1) scale(on, shape.factor, branch);
}

}  // namespace paligemma::zeta
