// Projector: one linear layer that turns each image row into a row of the language model.
//
//   y[l,d] = sum_i x[l,i] weight[d,i] + bias[d]
//
//   x       [L, I]   encoded patches, I = 1152
//   weight  [D, I]   D the width of Gemma (2048, 2304, 3584 or 4608)
//   bias    [D]
//   y       [L, D]   enters the decoder as it is: words are multiplied by sqrt(D), these are not
//
// keras_hub has an activation behind it, `vit_classifier_activation`, which no preset sets. Its "gelu"
// is the exact form.
//
// Paper: Beyer et al. 2024, "PaliGemma", section 3.1; section 5.5 finds that an MLP does no better.
//
// Read next: siglip/encoder.h.
#pragma once

#include "gemma/soft_cap.h"
#include "tensor/gelu.h"
#include "tensor/linear.h"
#include "tensor/softmax.h"

namespace paligemma {

template <class On, class W, class X, class Y>
void projector(const On& on, const X& x, const Linear<W>& w, const Y& y) {
  linear(on, x, w, y);
}

enum class ProjectorActivation { none, gelu, tanh, softmax };

template <class On, class Y>
void activate(const On& on, ProjectorActivation activation, const Y& y) {
  switch (activation) {
    case ProjectorActivation::none:
      return;
    case ProjectorActivation::gelu:
      return gelu(on, GeluForm::exact, y, y);
    case ProjectorActivation::tanh:
      return soft_cap(on, 1.0f, y);
    case ProjectorActivation::softmax:
      return softmax(on, y, y);
  }
}

// dx [L, I] += what comes back from dy [L, D]; without an activation behind the layer.
template <class On, class X, class W, class Dy, class Dx, class Gradients>
void projector_backward(const On& on, const X& x, const Linear<W>& w, const Dy& dy, const Dx& dx,
                        const Linear<Gradients>& dw) {
  linear_backward(on, x, w, dy, dx, dw);
}

}  // namespace paligemma
