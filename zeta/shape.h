// What the models of zeta are made of: the arguments of their constructors, expanded. Nothing here asks
// which library or which version a checkpoint comes from; where those differ, a field says what holds
// (score_scale, turn_values, norm_memories).
//
// Source: zetascale 2.8.8, structs/transformer.py, which is x-transformers 1.19.0.
#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include "gemma/prefix_lm_mask.h"  // kNoWindow
#include "tensor/view.h"

namespace paligemma::zeta {

// What stands one behind the other: "a", "c" and "f" in zeta. A layer of a decoder that looks at a
// picture is the three of them; a block is one.
enum class BlockKind { self_attention, cross_attention, feed_forward };

enum class NormKind {
  layer,       // LayerNorm, eps 1e-5
  rms,         // x sqrt(D) / |x| g          g [D]
  simple_rms,  // x sqrt(D) / |x|
  scale,       // x / max(|x|, 1e-5) g       g [1]
};

enum class Activation { gelu, silu, relu_squared };  // GELU in its exact form

struct FeedForwardShape {
  Index width = 0;  // F
  Activation activation = Activation::gelu;
  bool gated = false;        // ff_glu: linear(x) * activation( linear(x) )
  bool gate_scale = false;   // ff_glu_mult_bias: times a learned [F]
  bool norm_hidden = false;  // ff_post_act_ln: a LayerNorm behind the activation
  bool bias = true;          // of the linear layers; a gated first one has it always
  float factor = 1;          // of the whole: 1/2 in a macaron
};

// Rotation of the first channels of each head.
struct RotaryShape {
  Index channels = 32;        // R, even, at most H
  float base = 10000;         // rescaled already
  float interpolation = 1;    // positions are divided by it
  float xpos_scale_base = 0;  // 0: plain rotary
};

// What stands between the scores of self-attention and their distance. At most one of the three.
struct DistanceShape {
  Index alibi_heads = 0;  // so many heads have a slope, the others, the last ones, none
  Index buckets = 0;      // T5's: 0 if there are none
  Index far = 0;          // the distance from which on all are in one bucket
  Index mlp_layers = 0;   // dynamic positions: hidden layers of the MLP, 0 if there is none
  bool mlp_log = false;   // it reads sign(d) ln(|d| + 1) for d
  bool mlp_norm = false;  // a LayerNorm behind each of its hidden layers
};

struct LayersShape {
  std::vector<BlockKind> blocks;
  bool causal = false;   // Decoder: on; Encoder and CrossAttender: off
  Index width = 0;       // D
  Index heads = 8;       // N
  Index kv_heads = 8;    // K; query head n reads key head n mod K
  Index head_size = 64;  // H; N * H need not be D

  float score_scale = 0;      // 1 / sqrt(H); where queries have unit length, 10
  Index unit_groups = 0;      // attn_qk_norm_groups: queries and keys of length 1; 0: no
  bool unit_scales = false;   // attn_qk_norm_dim_scale: then times a learned [H]
  Index window = kNoWindow;   // keys that a causal query sees, itself included
  bool turn_values = false;   // rotary turns values as well as queries and keys
  bool norm_memories = true;  // memories are normed as x is
  DistanceShape distance;
  std::optional<RotaryShape> rotary;
  FeedForwardShape feed_forward;

  NormKind norm = NormKind::layer;
  bool norm_before = true;       // off: behind the sum, and no final norm
  bool norm_branch = false;      // sandwich_norm: a branch is normed before it is added
  bool dual = false;             // resi_dual: a second stream, normed and added at the end
  float dual_scale = 1;          // of all that goes into it
  bool residual_scales = false;  // x times a learned [D] before a branch is added
  float residual_factor = 1;     // and times this

  Index count(BlockKind kind) const {
    return static_cast<Index>(std::count(blocks.begin(), blocks.end(), kind));
  }
  // Heads of keys as they are kept. Neighbours share in attention, every K-th head in zeta: so where heads
  // are shared, and not by all, there is a copy for each (zeta/weights.h).
  Index stored_heads() const { return kv_heads == 1 ? 1 : heads; }
};

enum class Positions { none, learned, sinusoidal };  // rows added to the words'

// Transformer: ids to logits.
struct TransformerShape {
  Index vocabulary = 0;       // V, num_tokens
  Index outputs = 0;          // logits_dim: V unless it is given, or the head is tied
  Index max_positions = 0;    // max_seq_len: of learned positions, and how far generate looks back
  Index embedding_width = 0;  // E; where it is not D, a linear layer follows
  Positions positions = Positions::learned;
  bool unit_embeddings = false;  // l2norm_embed: rows of words and of learned positions of length 1
  bool norm_embeddings = false;  // post_emb_norm
  bool tied_head = false;
  Index memory_tokens = 0;  // M learned rows in front
  Index memory_rows = 0;    // max_mem_len: kept for each self-attention; 0: none
  Index memory_shift = 0;   // shift_mem_down
  LayersShape layers;
};

// ViTransformerWrapper: pixels to rows, or to classes.
struct VisionShape {
  Index image_size = 256;  // S, pixels a side
  Index patch_size = 32;   // P
  Index channels = 3;      // C
  Index classes = 0;       // 0: no head
  bool norm_embeddings = false;
  LayersShape layers;

  Index patches() const { return (image_size / patch_size) * (image_size / patch_size); }  // L
  Index patch_numbers() const { return patch_size * patch_size * channels; }
};

struct PalmEShape {
  VisionShape vision;
  TransformerShape text;
};

}  // namespace paligemma::zeta
