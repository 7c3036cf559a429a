// Gemma's MLP: each token by itself, widened twice, gated and narrowed again.
//
//   y = linear( geglu( linear_gate(x), linear_up(x) ) )        D -> F, F -> D, no biases
//
// Paper: Shazeer 2020, "GLU variants improve transformer", eq. 6; Gemma Team 2024, "Gemma", section
// 2.
//
// Read next: gemma/geglu.h.
#pragma once

#include "gemma/geglu.h"
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

// ---- backward --------------------------------------------------------------------------------------

template <class On>
struct GegluMlpActivations {        // R rows, of which the first are used
  BufferOn<On, float, 2> gate, up;  // [R, F]
  BufferOn<On, float, 2> hidden;    // [R, F]   their GeGLU

  GegluMlpActivations(const DecoderShape& shape, Index R)
      : gate({R, shape.mlp_width}, unwritten),
        up({R, shape.mlp_width}, unwritten),
        hidden({R, shape.mlp_width}, unwritten) {}
};

// y [B, D] = what the MLP says of x [B, D], of no more rows than `kept` has.
template <class On, class W, class X, class Y>
void geglu_mlp(const On& on, const GegluMlpWeights<W>& w, const DecoderShape& shape, const X& x,
               GegluMlpActivations<On>& kept, const Y& y) {
  const auto rows = [B = x.size(0)](auto& buffer) { return buffer.view().rows(0, B); };
  linear(on, x, w.gate, rows(kept.gate));
  linear(on, x, w.up, rows(kept.up));
  geglu(on, shape.gelu, rows(kept.gate), rows(kept.up), rows(kept.hidden));
  linear(on, rows(kept.hidden), w.down, y);
}

// dx [B, D] += what comes back from dy [B, D]; `d` has room for the gradients of what was kept.
template <class On, class W, class X, class Dy, class Dx, class Gradients>
void geglu_mlp_backward(const On& on, const GegluMlpWeights<W>& w, const DecoderShape& shape,
                        const X& x, GegluMlpActivations<On>& kept, const Dy& dy,
                        GegluMlpActivations<On>& d, const Dx& dx,
                        const GegluMlpWeights<Gradients>& dw) {
  const auto rows = [B = x.size(0)](auto& buffer) { return buffer.view().rows(0, B); };
  zero(on, rows(d.hidden));
  linear_backward(on, rows(kept.hidden), w.down, dy, rows(d.hidden), dw.down);
  geglu_backward(on, shape.gelu, rows(kept.gate), rows(kept.up), rows(d.hidden), rows(d.gate),
                 rows(d.up));
  linear_backward(on, x, w.gate, rows(d.gate), dx, dw.gate);
  linear_backward(on, x, w.up, rows(d.up), dx, dw.up);
}

}  // namespace paligemma::gemma
