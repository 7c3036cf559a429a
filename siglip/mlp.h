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

}  // namespace paligemma::siglip
