// What Fast leaves to the reference of learning, a line each: all of the way back but the products
// (fast/tensor/linear.h), and GeGLU on the way there, which an answer has in its product.
#pragma once

#include "fast/core/fast.h"
#include "gemma/geglu.h"
#include "gemma/rms_norm.h"
#include "gemma/rope.h"
#include "gemma/soft_cap.h"
#include "gemma/token_embedding.h"
#include "siglip/patch_embedding.h"
#include "siglip/position_embedding.h"
#include "tensor/gelu.h"
#include "tensor/layer_norm.h"
#include "tensor/scaled_dot_product_attention.h"
#include "train/cross_entropy.h"

namespace paligemma {

// clang-format off
void cross_entropy(const Fast&, const auto&... rest) { cross_entropy(reference, rest...); }
void geglu(const Fast&, const auto&... rest) { geglu(reference, rest...); }
void geglu_backward(const Fast&, const auto&... rest) { geglu_backward(reference, rest...); }
void gelu_backward(const Fast&, const auto&... rest) { gelu_backward(reference, rest...); }
void layer_norm_backward(const Fast&, const auto&... rest) { layer_norm_backward(reference, rest...); }
void patch_embedding_backward(const Fast&, const auto&... rest) { patch_embedding_backward(reference, rest...); }
void position_embedding_backward(const Fast&, const auto&... rest) { position_embedding_backward(reference, rest...); }
void rms_norm_backward(const Fast&, const auto&... rest) { rms_norm_backward(reference, rest...); }
void rope_backward(const Fast&, const auto&... rest) { rope_backward(reference, rest...); }
void soft_cap_backward(const Fast&, const auto&... rest) { soft_cap_backward(reference, rest...); }
void token_embedding_backward(const Fast&, const auto&... rest) { token_embedding_backward(reference, rest...); }
// clang-format on
inline void scaled_dot_product_attention_backward(const Fast&, const AttentionForward& forward,
                                                  View<const float, 3> dout, AttentionGradients d) {
  scaled_dot_product_attention_backward(reference, forward, dout, d);
}

}  // namespace paligemma
