#include "zeta/config_layers.h"

#include <algorithm>
#include <cmath>

#include "zeta/arguments.h"

namespace paligemma::zeta {
namespace {

using Blocks = std::vector<BlockKind>;
constexpr auto kSelf = BlockKind::self_attention;
constexpr auto kCross = BlockKind::cross_attention;
constexpr auto kForward = BlockKind::feed_forward;
constexpr Index kMaxDistance = 1 << 16;

void append(Blocks& blocks, const Blocks& more, Index times = 1) {
  for (Index i = 0; i < times; ++i) blocks.insert(blocks.end(), more.begin(), more.end());
}

Blocks custom_blocks(Arguments& given) {
  Blocks blocks;
  for (const std::string& name : given.texts("custom_layers")) {
    if (name != "a" && name != "c" && name != "f") {
      given.fail("custom_layers", "\"" + name + "\" is not a, c or f");
    }
    blocks.push_back(name == "a" ? kSelf : name == "c" ? kCross : kForward);
  }
  if (blocks.empty() || static_cast<Index>(blocks.size()) > 4 * kMaxLayers) {
    given.fail("custom_layers", "must name 1 to " + std::to_string(4 * kMaxLayers) + " blocks");
  }
  return blocks;
}

// Attention early, feed-forward late (Mandava et al. 2020, "Pay Attention when Required").
Blocks par_blocks(Arguments& given, Blocks layer, Index depth) {
  const Index all = depth * static_cast<Index>(layer.size());
  const Index ratio = given.size("par_ratio", all);
  if (ratio < 2) given.fail("par_ratio", "must be at least 2");
  std::erase(layer, kForward);
  const Index repeats = all / ratio, cut = all * 2 / 3;
  const Index width = (cut + cut / repeats) / repeats;
  if (static_cast<Index>(layer.size()) > width) given.fail("par_ratio", "too small for a layer");
  append(layer, {kForward}, width - static_cast<Index>(layer.size()));
  Blocks blocks;
  append(blocks, layer, repeats);
  append(blocks, {kForward}, all - static_cast<Index>(blocks.size()));
  return blocks;
}

Blocks blocks_of(Arguments& given, Index depth, bool cross, bool only_cross) {
  Blocks layer;
  if (given.flag("macaron")) layer.push_back(kForward);
  if (!(cross && only_cross)) layer.push_back(kSelf);
  if (cross) layer.push_back(kCross);
  layer.push_back(kForward);

  Blocks blocks;
  const bool par = given.has("par_ratio");
  const Index sandwich = given.has("sandwich_coef") ? given.size("sandwich_coef", depth) : 0;
  if (given.has("custom_layers")) {
    blocks = custom_blocks(given);
  } else if (par) {
    blocks = par_blocks(given, layer, depth);
  } else {
    append(blocks, {kSelf}, sandwich);
    append(blocks, layer, depth - sandwich);
    append(blocks, {kForward}, sandwich);
  }
  if ((std::find(blocks.begin(), blocks.end(), kCross) != blocks.end()) != cross) {
    given.fail("cross_attend", cross ? "but no block is c" : "is false, but a block is c");
  }
  return blocks;
}

DistanceShape distance_shape(Arguments& given, const LayersShape& layers) {
  DistanceShape distance;
  const bool alibi = given.flag("alibi_pos_bias"), buckets = given.flag("rel_pos_bias");
  const bool dynamic = given.flag("dynamic_pos_bias");
  if (alibi + buckets + dynamic > 1) {
    given.fail(alibi ? "alibi_pos_bias" : "rel_pos_bias", "one of the biases at most");
  }
  const Index alibi_heads = given.size("alibi_num_heads", layers.heads, kMaxWidth);
  const Index far = given.size("rel_pos_max_distance", 128, kMaxDistance);
  const Index all_buckets = given.size("rel_pos_num_buckets", 32, kMaxDistance);
  const Index mlp_layers = given.size("dynamic_pos_bias_mlp_depth", 2, kMaxLayers);
  const bool mlp_log = given.flag("dynamic_pos_bias_log_distance");
  const bool mlp_norm = given.flag("dynamic_pos_bias_norm");
  if (all_buckets > far) given.fail("rel_pos_num_buckets", "more than rel_pos_max_distance");
  if (alibi) {
    if (alibi_heads > layers.heads) given.fail("alibi_num_heads", "more than heads");
    distance.alibi_heads = alibi_heads;
  }
  if (buckets) {
    const Index fewest = layers.causal ? 2 : 4;
    if (all_buckets < fewest) {
      given.fail("rel_pos_num_buckets", "must be at least " + std::to_string(fewest));
    }
    distance.buckets = all_buckets;
    distance.far = far;
  }
  if (dynamic) {
    if (layers.width < 4) given.fail("dynamic_pos_bias", "dim is below 4");
    distance.mlp_layers = mlp_layers;
    distance.mlp_log = mlp_log;
    distance.mlp_norm = mlp_norm;
  }
  return distance;
}

std::optional<RotaryShape> rotary_shape(Arguments& given, const LayersShape& layers) {
  const bool xpos = given.flag("rotary_xpos");
  const bool wanted = given.flag("rotary_pos_emb") || xpos;
  RotaryShape rotary;
  rotary.channels =
      std::max<Index>(given.size("rotary_emb_dim", layers.head_size / 2, kMaxWidth), 32);
  rotary.interpolation = static_cast<float>(given.number("rotary_interpolation_factor", 1, 1, 1e6));
  const double scale_base = given.number("rotary_xpos_scale_base", 512, 1e-3, 1e9);
  const double rescale = given.number("rotary_base_rescale_factor", 1, 1e-6, 1e6);
  if (!wanted) return std::nullopt;
  const double R = static_cast<double>(rotary.channels);
  rotary.base = static_cast<float>(10000 * std::pow(rescale, R / (R - 2)));
  if (xpos) rotary.xpos_scale_base = static_cast<float>(scale_base);
  const char* name = given.has("rotary_emb_dim") ? "rotary_emb_dim"
                     : xpos                      ? "rotary_xpos"
                                                 : "rotary_pos_emb";
  if (rotary.channels % 2 != 0) given.fail(name, "an odd number of channels has no pairs");
  if (rotary.channels > layers.head_size) {
    given.fail(name, "turns " + std::to_string(rotary.channels) + " channels; heads have " +
                         std::to_string(layers.head_size));
  }
  if (xpos && !layers.causal) given.fail("rotary_xpos", "needs a Decoder");
  if (layers.count(kSelf) == 0) given.fail(name, "no block is self-attention");
  return rotary;
}

FeedForwardShape feed_forward_shape(Arguments& given, Index width) {
  FeedForwardShape shape;
  const double inner = static_cast<double>(width) * given.number("ff_mult", 4, 0, kMaxWidth);
  if (inner < 1 || inner > static_cast<double>(kMaxWidth))
    given.fail("ff_mult", "times dim is no width");
  shape.width = static_cast<Index>(inner);  // cut off
  shape.gated = given.flag("ff_glu");
  shape.gate_scale = given.flag("ff_glu_mult_bias") && shape.gated;
  if (given.flag("ff_swish")) shape.activation = Activation::silu;
  if (given.flag("ff_relu_squared")) shape.activation = Activation::relu_squared;
  shape.norm_hidden = given.flag("ff_post_act_ln");
  shape.bias = !given.flag("ff_no_bias");
  if (given.flag("macaron")) shape.factor = 0.5f;
  return shape;
}

void set_attention(Arguments& given, const Numerics& numerics, LayersShape& layers) {
  const Index N = layers.heads, H = layers.head_size;
  const bool one = given.flag("attn_one_kv_head");
  layers.kv_heads = given.size("attn_kv_heads", one ? 1 : N, kMaxWidth);
  if (one && given.has("attn_kv_heads")) given.fail("attn_kv_heads", "and attn_one_kv_head");
  if (N % layers.kv_heads != 0) given.fail("attn_kv_heads", "does not divide heads");

  const bool unit = given.flag("attn_qk_norm"), flash = given.flag("attn_flash");
  const Index groups = given.size("attn_qk_norm_groups", 1, kMaxWidth);
  const double scale = given.number("attn_qk_norm_scale", 10, 1e-6, 1e6);
  const bool scales = given.flag("attn_qk_norm_dim_scale");
  layers.score_scale = static_cast<float>(1 / std::sqrt(static_cast<double>(H)));
  if (unit) {
    if (H % groups != 0 || H / groups <= 2) {
      given.fail("attn_qk_norm_groups", "must divide heads of " + std::to_string(H) +
                                            " channels into groups of more than 2");
    }
    layers.unit_groups = groups;
    layers.unit_scales = scales;
    const bool divided = flash && numerics.divided_scale;
    layers.score_scale = static_cast<float>(divided ? 1 / (static_cast<double>(H) * scale) : scale);
  }

  const char* past = "attn_max_attend_past";
  if (given.has(past)) {
    layers.window = given.whole(past, 0, 1 << 30) + 1;
    // zeta counts it from the last of the context's rows, too.
    if (!layers.causal || layers.count(kCross) > 0) {
      given.fail(past, "needs a Decoder without cross-attention");
    }
  }
}

void set_norms(Arguments& given, Index depth, LayersShape& layers) {
  const bool scale = given.flag("use_scalenorm"), rms = given.flag("use_rmsnorm");
  const bool simple = given.flag("use_simple_rmsnorm");
  if (scale + rms + simple > 1) given.fail(scale ? "use_scalenorm" : "use_rmsnorm", "one at most");
  if (scale) layers.norm = NormKind::scale;
  if (rms) layers.norm = NormKind::rms;
  if (simple) layers.norm = NormKind::simple_rms;

  layers.norm_before = given.flag("pre_norm", true);
  layers.norm_branch = given.flag("sandwich_norm");
  layers.dual = given.flag("resi_dual");
  layers.dual_scale = static_cast<float>(given.number("resi_dual_scale", 1, 1e-6, 1));
  layers.residual_scales = given.flag("scale_residual");
  const char* constant = "scale_residual_constant";
  layers.residual_factor = static_cast<float>(given.number(constant, 1, -1e6, 1e6));
  if (given.flag("deepnorm")) {
    if (layers.residual_factor != 1) given.fail(constant, "deepnorm has its own");
    layers.norm_before = layers.norm_branch = layers.dual = false;
    layers.residual_scales = true;
    layers.residual_factor = static_cast<float>(std::pow(2.0 * static_cast<double>(depth), 0.25));
  }
  if (layers.norm_branch && layers.dual) given.fail("sandwich_norm", "and resi_dual");
  if (layers.norm_branch && !layers.norm_before) given.fail("sandwich_norm", "needs pre_norm");
  if (layers.dual) layers.norm_before = false;
}

}  // namespace

LayersShape layers_shape(const JsonFields& fields, const Numerics& numerics) {
  Arguments given(fields);
  const std::string type = given.text("type", "");
  const bool crossing = type == "CrossAttender";
  if (!crossing && type != "Encoder" && type != "Decoder") {
    given.fail("type", "\"" + type + "\" is not Encoder, Decoder or CrossAttender");
  }
  LayersShape layers;
  layers.causal = type == "Decoder";
  layers.width = given.size("dim", kMaxWidth);
  layers.heads = given.size("heads", 8, kMaxWidth);
  layers.head_size = given.size("attn_dim_head", 64, kMaxWidth);
  if (layers.heads * layers.head_size > kMaxWidth) {
    given.fail("heads", "all together are wider than " + std::to_string(kMaxWidth));
  }
  const Index depth = given.size("depth", kMaxLayers);
  const bool cross = given.flag("cross_attend", crossing);
  const bool only_cross = given.flag("only_cross", crossing);
  if (crossing && !(cross && only_cross))
    given.fail("only_cross", "a CrossAttender does nothing else");
  layers.blocks = blocks_of(given, depth, cross, only_cross);
  set_attention(given, numerics, layers);
  layers.distance = distance_shape(given, layers);
  layers.rotary = rotary_shape(given, layers);
  layers.turn_values = layers.rotary && numerics.turned_values;
  layers.norm_memories = !numerics.raw_memories;
  layers.feed_forward = feed_forward_shape(given, layers.width);
  set_norms(given, depth, layers);

  given.without_effect({"pre_norm_has_final_norm", "zero_init_branch_output", "layer_dropout",
                        "cross_attn_tokens_dropout", "attn_dropout", "attn_zero_init_output",
                        "attn_onnxable", "ff_dropout", "ff_zero_init_output"});
  given.refuse({"residual_attn", "cross_residual_attn", "gate_residual", "shift_tokens",
                "attn_talking_heads", "attn_head_scale", "attn_sparse_topk", "attn_num_mem_kv",
                "attn_on_attn", "attn_gate_values", "attn_shared_kv", "attn_tensor_product",
                "attn_cascading_heads", "attn_add_zero_kv"});
  given.refuse({"attn_value_dim_head"}, static_cast<double>(layers.head_size));
  given.refuse({"ff_dim_out"}, static_cast<double>(layers.width));
  given.refuse_others(type);
  return layers;
}

}  // namespace paligemma::zeta
