// Gemma's MLP: each token by itself, widened twice, gated and narrowed again.
//
//   y = linear( geglu( linear_gate(x), linear_up(x) ) )        D -> F, F -> D, no biases
//
// Paper: Shazeer 2020, "GLU variants improve transformer", eq. 6; Gemma Team 2024, "Gemma", section
// 2.
//
// Read next: gemma/geglu.h.
#pragma once

#include "gemma/scratch.h"
#include "gemma/step.h"
#include "tensor/linear.h"

namespace paligemma::gemma {

template <class W>
struct GegluMlpWeights {
  Linear<W> gate, up;  // [F, D]
  Linear<W> down;      // [D, F]
};

// Reads s.normed, writes s.branch.
template <class On, class W>
void geglu_mlp(const On& on, const GegluMlpWeights<W>& w, const DecoderShape& shape, Step step,
               DecoderScratch<On>& s) {
  const auto rows = [T = step.rows()](auto& buffer) { return buffer.view().rows(0, T); };
  linear(on, rows(s.normed), w.up, rows(s.hidden), {.activation = shape.gelu, .gate = &w.gate});
  linear(on, rows(s.hidden), w.down, rows(s.branch));
}

}  // namespace paligemma::gemma
