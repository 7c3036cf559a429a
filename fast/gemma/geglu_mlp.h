// Gemma's MLP on the CPU, fast: gemma/geglu_mlp.h with gate, up and their product as one operation, so
// that neither projection is written and read again.
#pragma once

#include "fast/from_reference.h"
#include "fast/tensor/linear.h"
#include "gemma/geglu_mlp.h"

namespace paligemma::gemma {

// Reads s.normed, writes s.branch.
template <class W>
void geglu_mlp(const Fast& on, const GegluMlpWeights<W>& w, const DecoderShape& shape, Step step,
               DecoderScratch<Fast>& s) {
  const auto rows = [T = step.T](auto& buffer) { return buffer.view().rows(0, T); };
  if (shape.gelu == GeluForm::tanh) {
    linear_geglu(on, rows(s.normed), w.gate, w.up, rows(s.gate));
  } else {
    linear(on, rows(s.normed), w.gate, rows(s.gate));
    linear(on, rows(s.normed), w.up, rows(s.up));
    geglu(on, shape.gelu, rows(s.gate), rows(s.up), rows(s.gate));
  }
  linear(on, rows(s.gate), w.down, rows(s.branch));
}

}  // namespace paligemma::gemma
