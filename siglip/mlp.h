// SigLIP's MLP: each patch by itself, widened, bent and narrowed again.
//
//   y = linear( gelu( linear(x) ) )            D -> F -> D, 1152 -> 4304 -> 1152, with biases
//
// Paper: Dosovitskiy et al. 2020, "An image is worth 16x16 words", eq. 3 ("two layers with a GELU
// non-linearity").
//
// Read next: tensor/gelu.h.
#pragma once

#include "siglip/scratch.h"
#include "tensor/linear.h"
#include "tensor/weights.h"

namespace paligemma::siglip {

template <class W>
struct MlpWeights {
  Linear<W> fc1;  // [F, D]
  Linear<W> fc2;  // [D, F]
};

// Reads s.normed, writes s.branch.
template <class On, class W>
void mlp(const On& on, const MlpWeights<W>& w, const EncoderShape& shape, EncoderScratch<On>& s) {
  linear(on, s.normed.view(), w.fc1, s.hidden.view(), {.activation = shape.gelu});
  linear(on, s.hidden.view(), w.fc2, s.branch.view());
}

// ---- backward --------------------------------------------------------------------------------------

template <class On>
struct MlpActivations {           // R rows
  BufferOn<On, float, 2> sums;    // [R, F]   before the GELU
  BufferOn<On, float, 2> hidden;  // [R, F]   behind it

  MlpActivations(const EncoderShape& shape, Index R)
      : sums({R, shape.mlp_width}, unwritten), hidden({R, shape.mlp_width}, unwritten) {}
};

// y [R, D] += what the MLP says of x [R, D].
template <class On, class W, class X, class Y>
void mlp(const On& on, const MlpWeights<W>& w, const EncoderShape& shape, const X& x,
         MlpActivations<On>& kept, const Y& y) {
  linear(on, x, w.fc1, kept.sums.view());
  gelu(on, shape.gelu, kept.sums.view(), kept.hidden.view());
  linear(on, kept.hidden.view(), w.fc2, y, {.add = true});
}

// dx [R, D] += what comes back from dy [R, D]; dhidden has room for [R, F].
template <class On, class W, class X, class Dy, class Hidden, class Dx, class Gradients>
void mlp_backward(const On& on, const MlpWeights<W>& w, const EncoderShape& shape, const X& x,
                  const MlpActivations<On>& kept, const Dy& dy, const Hidden& dhidden, const Dx& dx,
                  const MlpWeights<Gradients>& dw) {
  zero(on, dhidden);
  linear_backward(on, kept.hidden.view(), w.fc2, dy, dhidden, dw.fc2);
  gelu_backward(on, shape.gelu, kept.sums.view(), dhidden, dhidden);
  linear_backward(on, x, w.fc1, dhidden, dx, dw.fc1);
}

}  // namespace paligemma::siglip
