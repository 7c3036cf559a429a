// What a decoder is made of: what `text_config` says, and what follows from its model_type. Families
// differ by these facts alone; no operation asks which family it is in.
#pragma once

#include <vector>

#include "gemma/prefix_lm_mask.h"  // kNoWindow
#include "tensor/gelu.h"
#include "tensor/scaled_dot_product_attention.h"  // kNoSoftCap
#include "tensor/view.h"

namespace paligemma::gemma {

enum class Norms {
  pre,           // two a block, before attention and before the MLP
  pre_and_post,  // four: behind each of the two as well, in Gemma 2
};

struct DecoderShape {
  Index vocabulary = 0;  // V, rows of the embedding table
  Index width = 0;       // D
  Index mlp_width = 0;   // F
  Index layers = 0;
  Index heads = 0;      // N
  Index kv_heads = 0;   // K
  Index head_size = 0;  // H; N * H need not be D
  Index max_positions = 8192;
  float embedding_scale = 1;  // sqrt(D) in Gemma
  Norms norms = Norms::pre;
  float norm_eps = 1e-6f;
  float norm_offset = 0;  // 1 in Gemma, which stores gains minus one
  float rope_theta = 10000;
  float query_scale = 0;  // 1 / sqrt(H), or 1 / sqrt(query_pre_attn_scalar)
  float attention_soft_cap = kNoSoftCap;
  float final_soft_cap = kNoSoftCap;
  std::vector<Index> window;  // per layer; kNoWindow where a layer sees the whole past
  GeluForm gelu = GeluForm::tanh;
};

}  // namespace paligemma::gemma
