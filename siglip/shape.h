// What a vision tower is made of: the numbers of `vision_config` that change what it computes.
#pragma once

#include "tensor/gelu.h"
#include "tensor/view.h"

namespace paligemma::siglip {

struct EncoderShape {
  Index image_size = 224;  // R, pixels a side
  Index patch_size = 16;   // P, pixels a side
  Index width = 768;       // D
  Index mlp_width = 3072;  // F
  Index heads = 12;        // N
  Index layers = 12;
  float norm_eps = 1e-6f;
  GeluForm gelu = GeluForm::tanh;
  // Of the pooling head (siglip/attention_pool.h).
  Index head_mlp_width = 3072;
  GeluForm head_gelu = GeluForm::tanh;

  Index patches() const { return (image_size / patch_size) * (image_size / patch_size); }  // L
};

}  // namespace paligemma::siglip
