// What learning asks of Fast besides what an answer does: the fast versions of the way back, and what is left to the
// reference, a line each. A profile says that none of them is 2 % of a step (docs/fast.md).
#pragma once

#include "fast/core/fast.h"
#include "fast/gemma/geglu.h"
#include "fast/siglip/patch_embedding.h"
#include "fast/tensor/gelu.h"
#include "fast/tensor/linear.h"
#include "fast/tensor/scaled_dot_product_attention.h"
#include "fast/train/cross_entropy.h"
#include "gemma/rms_norm.h"
#include "gemma/rope.h"
#include "gemma/soft_cap.h"
#include "gemma/token_embedding.h"
#include "siglip/position_embedding.h"
#include "tensor/layer_norm.h"

namespace paligemma {

// clang-format off
void layer_norm_backward(const Fast&, const auto&... rest) { layer_norm_backward(reference, rest...); }
void position_embedding_backward(const Fast&, const auto&... rest) { position_embedding_backward(reference, rest...); }
void rms_norm_backward(const Fast&, const auto&... rest) { rms_norm_backward(reference, rest...); }
void rope_backward(const Fast&, const auto&... rest) { rope_backward(reference, rest...); }
void soft_cap_backward(const Fast&, const auto&... rest) { soft_cap_backward(reference, rest...); }
void token_embedding_backward(const Fast&, const auto&... rest) { token_embedding_backward(reference, rest...); }
// clang-format on

}  // namespace paligemma
