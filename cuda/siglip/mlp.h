// SigLIP's MLP on the GPU: siglip/mlp.h with the GELU where the first product's sums are stored, so
// that the hidden rows are written once instead of written, read and written again.
#pragma once

#include "cuda/core/device_buffer.h"
#include "cuda/core/device_weights.h"
#include "cuda/tensor/linear.h"
#include "siglip/mlp.h"

namespace paligemma::cuda {

template <class Real>
void mlp(const Stream& on, const siglip::MlpWeights<DeviceWeights<Real>>& w,
         const siglip::EncoderShape& shape, siglip::EncoderScratch<Stream>& s) {
  linear_gelu(on, s.normed.view(), w.fc1.weight, w.fc1.bias, shape.gelu, s.hidden.view());
  linear(on, s.hidden.view(), w.fc2.weight, w.fc2.bias, s.branch.view());
}

}  // namespace paligemma::cuda
