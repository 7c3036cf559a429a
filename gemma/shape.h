// What a Gemma decoder is made of: the numbers of `text_config` that change what it computes.
#pragma once

#include <vector>

#include "gemma/prefix_lm_mask.h"  // kNoWindow
#include "tensor/gelu.h"
#include "tensor/scaled_dot_product_attention.h"  // kNoSoftCap
#include "tensor/view.h"

namespace paligemma::gemma {

struct DecoderShape {
  bool is_gemma2 = false;  // four norms a block instead of two
  Index vocabulary = 0;    // V, rows of the embedding table
  Index width = 0;         // D
  Index mlp_width = 0;     // F
  Index layers = 0;
  Index heads = 0;      // N
  Index kv_heads = 0;   // K
  Index head_size = 0;  // H; N * H need not be D
  Index max_positions = 8192;
  float norm_eps = 1e-6f;
  float rope_theta = 10000;
  float query_scale = 0;  // 1 / sqrt(H), or 1 / sqrt(query_pre_attn_scalar)
  float attention_soft_cap = kNoSoftCap;
  float final_soft_cap = kNoSoftCap;
  std::vector<Index> window;  // per layer; kNoWindow where a layer sees the whole past
  GeluForm gelu = GeluForm::tanh;
};

}  // namespace paligemma::gemma
