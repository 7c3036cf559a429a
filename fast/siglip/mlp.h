// SigLIP's MLP on the CPU, fast: siglip/mlp.h with the GELU where the first product's sums are still in
// the cache.
#pragma once

#include "fast/from_reference.h"
#include "fast/tensor/linear.h"
#include "siglip/mlp.h"

namespace paligemma::siglip {

// Reads s.normed, writes s.branch.
template <class W>
void mlp(const Fast& on, const MlpWeights<W>& w, const EncoderShape& shape,
         EncoderScratch<Fast>& s) {
  if (shape.gelu == GeluForm::tanh) {
    linear_gelu(on, s.normed.view(), w.fc1.weight, w.fc1.bias, s.hidden.view());
  } else {
    linear(on, s.normed.view(), w.fc1.weight, w.fc1.bias, s.hidden.view());
    gelu(on, shape.gelu, s.hidden.view(), s.hidden.view());
  }
  linear(on, s.hidden.view(), w.fc2.weight, w.fc2.bias, s.branch.view());
}

}  // namespace paligemma::siglip
