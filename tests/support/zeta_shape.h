// temporary
#pragma once
#include <cmath>
#include <nlohmann/json.hpp>

#include "zeta/shape.h"
namespace paligemma::test {
struct ZetaModel {
  bool is_palme = false;
  zeta::PalmEShape palme;
};
inline zeta::LayersShape zeta_layers(const nlohmann::ordered_json& j,
                                     const nlohmann::ordered_json& num) {
  using namespace zeta;
  LayersShape s;
  const auto def = [&](const char* k) {
    return num.is_string() ? num == "defined"
                           : num.is_object() && num.value(k, "zeta") == "defined";
  };
  const std::string type = j["type"];
  s.causal = type == "Decoder";
  const Index depth = j["depth"];
  s.width = j["dim"];
  s.heads = j.value("heads", 8);
  s.head_size = j.value("attn_dim_head", 64);
  s.kv_heads = j.value("attn_one_kv_head", false) ? 1 : j.value("attn_kv_heads", s.heads);
  std::string block = type == "CrossAttender"          ? "cf"
                      : j.value("cross_attend", false) ? "acf"
                                                       : "af";
  if (j.value("macaron", false)) block = "f" + block, s.feed_forward.factor = 0.5f;
  std::string all;
  if (j.contains("custom_layers"))
    for (const auto& b : j["custom_layers"]) all += b.get<std::string>();
  else if (j.contains("par_ratio")) {
    const Index n = depth * (Index)block.size(), par = j["par_ratio"], attn = n / par,
                cut = n * 2 / 3, width = (cut + cut / attn) / attn;
    std::string h;
    for (char c : block)
      if (c != 'f') h += c;
    h += std::string((std::size_t)(width - (Index)h.size()), 'f');
    for (Index i = 0; i < attn; ++i) all += h;
    all += std::string((std::size_t)(n - (Index)all.size()), 'f');
  } else if (j.contains("sandwich_coef")) {
    const Index c = j["sandwich_coef"];
    all = std::string((std::size_t)c, 'a');
    for (Index i = 0; i < depth - c; ++i) all += block;
    all += std::string((std::size_t)c, 'f');
  } else
    for (Index i = 0; i < depth; ++i) all += block;
  for (char c : all)
    s.blocks.push_back(c == 'a'   ? BlockKind::self_attention
                       : c == 'c' ? BlockKind::cross_attention
                                  : BlockKind::feed_forward);
  s.score_scale = 1 / std::sqrt((float)s.head_size);
  const bool qk = j.value("attn_qk_norm", false) || (j.value("qk_norm", false) && def("qk_norm"));
  if (qk) {
    s.unit_groups = j.value("attn_qk_norm_groups", 1);
    s.unit_scales = j.value("attn_qk_norm_dim_scale", false);
    const float ten = j.value("attn_qk_norm_scale", 10.0f);
    s.score_scale =
        j.value("attn_flash", false) && !def("score_scale") ? 1 / (ten * (float)s.head_size) : ten;
  }
  if (j.contains("attn_max_attend_past")) s.window = j["attn_max_attend_past"].get<Index>() + 1;
  s.turn_values = !def("turn_values");
  s.norm_memories = def("norm_memories");
  if (j.value("alibi_pos_bias", false))
    s.distance.alibi_heads = j.value("alibi_num_heads", s.heads);
  if (j.value("rel_pos_bias", false))
    s.distance.buckets = j.value("rel_pos_num_buckets", 32),
    s.distance.far = j.value("rel_pos_max_distance", 128);
  if (j.value("dynamic_pos_bias", false)) {
    s.distance.mlp_layers = j.value("dynamic_pos_bias_mlp_depth", 2);
    s.distance.mlp_log = j.value("dynamic_pos_bias_log_distance", false);
    s.distance.mlp_norm = j.value("dynamic_pos_bias_norm", false);
  }
  if (j.value("rotary_pos_emb", false) || j.value("rotary_xpos", false)) {
    RotaryShape r;
    r.channels = std::max<Index>(j.value("rotary_emb_dim", s.head_size / 2), 32);
    r.base = (float)(10000 * std::pow(j.value("rotary_base_rescale_factor", 1.0),
                                      (double)r.channels / (double)(r.channels - 2)));
    r.interpolation = j.value("rotary_interpolation_factor", 1.0f);
    if (j.value("rotary_xpos", false))
      r.xpos_scale_base = j.value("rotary_xpos_scale_base", 512.0f);
    s.rotary = r;
  }
  auto& f = s.feed_forward;
  f.width = j.value("ff_mult", 4) * s.width;
  f.gated = j.value("ff_glu", false);
  f.gate_scale = j.value("ff_glu_mult_bias", false);
  f.activation = j.value("ff_relu_squared", false) ? Activation::relu_squared
                 : j.value("ff_swish", false)      ? Activation::silu
                                                   : Activation::gelu;
  f.norm_hidden = j.value("ff_post_act_ln", false);
  f.bias = !j.value("ff_no_bias", false);
  s.norm = j.value("use_rmsnorm", false)          ? NormKind::rms
           : j.value("use_simple_rmsnorm", false) ? NormKind::simple_rms
           : j.value("use_scalenorm", false)      ? NormKind::scale
                                                  : NormKind::layer;
  s.dual = j.value("resi_dual", false);
  s.dual_scale = j.value("resi_dual_scale", 1.0f);
  const bool deep = j.value("deepnorm", false);
  s.norm_before = j.value("pre_norm", true) && !s.dual && !deep;
  s.norm_branch = j.value("sandwich_norm", false);
  s.residual_scales = j.value("scale_residual", false) || deep;
  s.residual_factor =
      deep ? (float)std::pow(2.0 * (double)depth, 0.25) : j.value("scale_residual_constant", 1.0f);
  return s;
}
inline ZetaModel zeta_model(nlohmann::ordered_json j, const nlohmann::ordered_json& call) {
  using namespace zeta;
  ZetaModel m;
  const nlohmann::ordered_json num =
      call.contains("numerics") ? call["numerics"] : nlohmann::ordered_json("zeta");
  const std::string arch = j["architectures"][0];
  const nlohmann::ordered_json change =
      call.contains("change") ? call["change"] : nlohmann::ordered_json::object();
  auto& v = m.palme.vision;
  auto& t = m.palme.text;
  m.is_palme = arch == "PalmE";
  if (m.is_palme) {
    v.image_size = j.value("image_size", 256);
    v.patch_size = j.value("patch_size", 32);
    v.layers = zeta_layers({{"type", "Encoder"},
                            {"dim", j["encoder_dim"]},
                            {"depth", j["encoder_depth"]},
                            {"heads", j["encoder_heads"]}},
                           "zeta");
    nlohmann::ordered_json d = {{"type", "Decoder"},
                                {"dim", j["decoder_dim"]},
                                {"depth", j["decoder_depth"]},
                                {"heads", j["decoder_heads"]},
                                {"cross_attend", j.value("cross_attend", true)},
                                {"alibi_pos_bias", j.value("alibi_pos_bias", true)},
                                {"alibi_num_heads", j.value("alibi_num_heads", 4)},
                                {"rotary_xpos", j.value("rotary_xpos", true)},
                                {"attn_flash", j.value("attn_flash", true)},
                                {"qk_norm", j.value("qk_norm", true)}};
    d.update(change);
    t.layers = zeta_layers(d, num);
    t.vocabulary = t.outputs = j["num_tokens"];
    t.max_positions = j["max_seq_len"];
    t.embedding_width = t.layers.width;
    t.positions = j.value("use_abs_pos_emb", false) && !t.layers.rotary ? Positions::learned
                                                                        : Positions::none;
    return m;
  }
  nlohmann::ordered_json l = j["attn_layers"];
  l.update(change);
  if (arch == "ViTransformerWrapper") {
    v.image_size = j["image_size"];
    v.patch_size = j["patch_size"];
    v.channels = j["channels"];
    v.classes = j.value("num_classes", 0);
    v.norm_embeddings = j.value("post_emb_norm", false);
    v.layers = zeta_layers(l, num);
    return m;
  }
  t.layers = zeta_layers(l, num);
  t.vocabulary = j["num_tokens"];
  t.max_positions = j["max_seq_len"];
  t.embedding_width = j.value("emb_dim", t.layers.width);
  t.tied_head = j.value("tie_embedding", false);
  t.outputs = t.tied_head ? t.vocabulary : j.value("logits_dim", t.vocabulary);
  t.memory_rows = j.value("max_mem_len", 0);
  t.memory_shift = j.value("shift_mem_down", 0);
  t.memory_tokens = j.value("num_memory_tokens", 0);
  t.unit_embeddings = j.value("l2norm_embed", false);
  t.norm_embeddings = j.value("post_emb_norm", false);
  const bool own = t.layers.rotary || t.layers.distance.buckets > 0;
  t.positions = !j.value("use_abs_pos_emb", true) || own ? Positions::none
                : j.value("scaled_sinu_pos_emb", false)  ? Positions::sinusoidal
                                                         : Positions::learned;
  return m;
}
}  // namespace paligemma::test
