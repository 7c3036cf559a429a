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
struct GegluMlpActivations {        // R rows
  BufferOn<On, float, 2> gate, up;  // [R, F]
  BufferOn<On, float, 2> hidden;    // [R, F]   their GeGLU

  GegluMlpActivations(const DecoderShape& shape, Index R)
      : gate({R, shape.mlp_width}, unwritten),
        up({R, shape.mlp_width}, unwritten),
        hidden({R, shape.mlp_width}, unwritten) {}
};

// y [R, D] = what the MLP says of x [R, D].
template <class On, class W, class X, class Y>
void geglu_mlp(const On& on, const GegluMlpWeights<W>& w, const DecoderShape& shape, const X& x,
               GegluMlpActivations<On>& kept, const Y& y) {
  linear(on, x, w.gate, kept.gate.view());
  linear(on, x, w.up, kept.up.view());
  geglu(on, shape.gelu, kept.gate.view(), kept.up.view(), kept.hidden.view());
  linear(on, kept.hidden.view(), w.down, y);
}

// dx [R, D] += what comes back from dy [R, D]; `d` has room for the gradients of what was kept.
template <class On, class W, class X, class Dy, class Dx, class Gradients>
void geglu_mlp_backward(const On& on, const GegluMlpWeights<W>& w, const DecoderShape& shape,
                        const X& x, const GegluMlpActivations<On>& kept, const Dy& dy,
                        GegluMlpActivations<On>& d, const Dx& dx,
                        const GegluMlpWeights<Gradients>& dw) {
  zero(on, d.hidden.view());
  linear_backward(on, kept.hidden.view(), w.down, dy, d.hidden.view(), dw.down);
  geglu_backward(on, shape.gelu, kept.gate.view(), kept.up.view(), d.hidden.view(), d.gate.view(),
                 d.up.view());
  linear_backward(on, x, w.gate, d.gate.view(), dx, dw.gate);
  linear_backward(on, x, w.up, d.up.view(), dx, dw.up);
}

}  // namespace paligemma::gemma
