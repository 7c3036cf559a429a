#include "zeta/config_layers.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tensor/errors.h"
#include "tests/support/error_text.h"

namespace paligemma::zeta {
namespace {

using namespace test;
using nlohmann::json;

LayersShape layers(const json& arguments, const char* type = "Decoder") {
  json object = {{"type", type}, {"dim", 24}, {"depth", 2}};
  if (!arguments.is_null()) object.update(arguments);
  return layers_shape(JsonFields(object.dump(), "layers"), Numerics());
}

std::string refusal(const json& arguments, const char* type = "Decoder") {
  return error_text<ModelFileError>([&] { layers(arguments, type); });
}

// "acf" and so on.
std::string blocks(const json& arguments, const char* type = "Decoder") {
  std::string text;
  for (const BlockKind kind : layers(arguments, type).blocks) text += "acf"[static_cast<int>(kind)];
  return text;
}

TEST(ZetaConfigLayers, WithoutMore) {
  const LayersShape shape = layers({});
  EXPECT_TRUE(shape.causal);
  EXPECT_FALSE(layers({}, "Encoder").causal);
  EXPECT_EQ(shape.width, 24);
  EXPECT_EQ(shape.heads, 8);
  EXPECT_EQ(shape.kv_heads, 8);
  EXPECT_EQ(shape.head_size, 64);
  EXPECT_EQ(shape.score_scale, 0.125f);
  EXPECT_EQ(shape.window, kNoWindow);
  EXPECT_FALSE(shape.turn_values);  // there is nothing to turn them
  EXPECT_EQ(shape.distance.alibi_heads, 0);
  EXPECT_EQ(shape.distance.buckets, 0);
  EXPECT_EQ(shape.distance.mlp_layers, 0);
  EXPECT_EQ(shape.feed_forward.width, 96);
  EXPECT_TRUE(shape.feed_forward.bias);
  EXPECT_EQ(shape.feed_forward.factor, 1);
  EXPECT_EQ(shape.norm, NormKind::layer);
  EXPECT_TRUE(shape.norm_before);
  EXPECT_EQ(shape.residual_factor, 1);
  EXPECT_TRUE(holds(refusal({}, "Middle"), "layers.type", "Middle"));
}

// What x-transformers 1.19.0 calls layer_types.
TEST(ZetaConfigLayers, OrderOfBlocks) {
  EXPECT_EQ(blocks({}), "afaf");
  EXPECT_EQ(blocks({{"cross_attend", true}}), "acfacf");
  EXPECT_EQ(blocks({{"cross_attend", true}, {"only_cross", true}}), "cfcf");
  EXPECT_EQ(blocks({{"only_cross", true}}), "afaf");
  EXPECT_EQ(blocks({}, "CrossAttender"), "cfcf");
  EXPECT_EQ(blocks({{"macaron", true}}), "faffaf");
  EXPECT_EQ(blocks({{"macaron", true}, {"cross_attend", true}}), "facffacf");
  EXPECT_EQ(blocks({{"depth", 3}, {"sandwich_coef", 1}}), "aafaff");
  EXPECT_EQ(blocks({{"depth", 3}, {"par_ratio", 3}}), "affaff");
  EXPECT_EQ(blocks({{"depth", 6}, {"par_ratio", 5}}), "afffffafffff");
  EXPECT_EQ(blocks({{"depth", 6}, {"par_ratio", 4}, {"cross_attend", true}}), "acfacfacfacfffffff");
  EXPECT_EQ(blocks({{"custom_layers", {"a", "f", "f"}}, {"par_ratio", 2}}), "aff");

  EXPECT_TRUE(holds(refusal({{"custom_layers", {"a", "b"}}}), "custom_layers", "\"b\""));
  EXPECT_TRUE(holds(refusal({{"custom_layers", json::array()}}), "custom_layers"));
  EXPECT_TRUE(holds(refusal({{"custom_layers", {"a", "c"}}}), "cross_attend"));
  EXPECT_TRUE(holds(refusal({{"custom_layers", {"a"}}, {"cross_attend", true}}), "cross_attend"));
  EXPECT_TRUE(holds(refusal({{"sandwich_coef", 3}}), "sandwich_coef"));
  EXPECT_TRUE(holds(refusal({{"par_ratio", 1}}), "par_ratio"));
  EXPECT_TRUE(holds(refusal({{"par_ratio", 5}}), "par_ratio"));
  EXPECT_TRUE(holds(refusal({{"only_cross", false}}, "CrossAttender"), "only_cross"));
}

TEST(ZetaConfigLayers, HeadsOfKeys) {
  EXPECT_EQ(layers({{"attn_kv_heads", 2}}).kv_heads, 2);
  EXPECT_EQ(layers({{"attn_one_kv_head", true}}).kv_heads, 1);
  EXPECT_TRUE(holds(refusal({{"attn_kv_heads", 3}}), "attn_kv_heads", "divide"));
  EXPECT_TRUE(holds(refusal({{"attn_kv_heads", 1}, {"attn_one_kv_head", true}}), "attn_kv_heads"));
}

TEST(ZetaConfigLayers, QueriesOfLengthOne) {
  const LayersShape shape = layers({{"attn_qk_norm", true},
                                    {"attn_qk_norm_groups", 4},
                                    {"attn_qk_norm_scale", 3},
                                    {"attn_qk_norm_dim_scale", true}});
  EXPECT_EQ(shape.unit_groups, 4);
  EXPECT_EQ(shape.score_scale, 3);
  EXPECT_TRUE(shape.unit_scales);
  EXPECT_EQ(layers({{"attn_qk_norm", true}}).score_scale, 10);
  EXPECT_EQ(layers({{"attn_qk_norm", true}, {"attn_flash", true}}).score_scale, 1.0f / 640);
  EXPECT_EQ(layers({{"attn_flash", true}}).score_scale, 0.125f);
  EXPECT_FALSE(layers({{"attn_qk_norm_dim_scale", true}}).unit_scales);
  for (const int groups : {3, 32, 64}) {
    const json object = {{"attn_qk_norm", true}, {"attn_qk_norm_groups", groups}};
    EXPECT_TRUE(holds(refusal(object), "attn_qk_norm_groups")) << groups;
  }
}

// Keys that are no more than so many behind: one more than that with the query's own.
TEST(ZetaConfigLayers, WindowIsOneMoreThanThePast) {
  EXPECT_EQ(layers({{"attn_max_attend_past", 4}}).window, 5);
  EXPECT_EQ(layers({{"attn_max_attend_past", 0}}).window, 1);
  EXPECT_TRUE(holds(refusal({{"attn_max_attend_past", 4}}, "Encoder"), "attn_max_attend_past"));
  EXPECT_TRUE(holds(refusal({{"attn_max_attend_past", 4}, {"cross_attend", true}}), "past"));
}

TEST(ZetaConfigLayers, Biases) {
  EXPECT_EQ(layers({{"alibi_pos_bias", true}}).distance.alibi_heads, 8);
  EXPECT_EQ(layers({{"alibi_pos_bias", true}, {"alibi_num_heads", 3}}).distance.alibi_heads, 3);
  const DistanceShape t5 = layers({{"rel_pos_bias", true}}).distance;
  EXPECT_EQ(t5.buckets, 32);
  EXPECT_EQ(t5.far, 128);
  const DistanceShape mlp = layers({{"dynamic_pos_bias", true},
                                    {"dynamic_pos_bias_mlp_depth", 3},
                                    {"dynamic_pos_bias_log_distance", true},
                                    {"dynamic_pos_bias_norm", true}})
                                .distance;
  EXPECT_EQ(mlp.mlp_layers, 3);
  EXPECT_TRUE(mlp.mlp_log);
  EXPECT_TRUE(mlp.mlp_norm);

  EXPECT_TRUE(holds(refusal({{"alibi_pos_bias", true}, {"rel_pos_bias", true}}), "one of"));
  EXPECT_TRUE(holds(refusal({{"rel_pos_bias", true}, {"dynamic_pos_bias", true}}), "one of"));
  EXPECT_TRUE(
      holds(refusal({{"alibi_pos_bias", true}, {"alibi_num_heads", 9}}), "alibi_num_heads"));
  EXPECT_TRUE(holds(refusal({{"rel_pos_num_buckets", 129}}), "rel_pos_num_buckets"));
  EXPECT_TRUE(holds(refusal({{"rel_pos_bias", true}, {"rel_pos_num_buckets", 1}}), "at least 2"));
  EXPECT_TRUE(holds(refusal({{"rel_pos_bias", true}, {"rel_pos_num_buckets", 3}}, "Encoder"),
                    "at least 4"));
  EXPECT_TRUE(holds(refusal({{"dynamic_pos_bias", true}, {"dim", 3}}), "dynamic_pos_bias"));
}

TEST(ZetaConfigLayers, Rotation) {
  const auto plain = layers({{"rotary_pos_emb", true}}).rotary;
  EXPECT_EQ(plain->channels, 32);
  EXPECT_EQ(plain->base, 10000);
  EXPECT_EQ(plain->interpolation, 1);
  EXPECT_EQ(plain->xpos_scale_base, 0);
  EXPECT_EQ(layers({{"rotary_pos_emb", true}, {"attn_dim_head", 36}}).rotary->channels, 32);
  EXPECT_EQ(layers({{"rotary_pos_emb", true}, {"attn_dim_head", 128}}).rotary->channels, 64);
  const auto more = layers({{"rotary_xpos", true},
                            {"rotary_emb_dim", 34},
                            {"rotary_interpolation_factor", 2},
                            {"rotary_base_rescale_factor", 3},
                            {"rotary_xpos_scale_base", 16}})
                        .rotary;
  EXPECT_EQ(more->channels, 34);
  EXPECT_EQ(more->interpolation, 2);
  EXPECT_EQ(more->base, static_cast<float>(10000 * std::pow(3, 34.0 / 32)));
  EXPECT_EQ(more->xpos_scale_base, 16);

  EXPECT_TRUE(holds(refusal({{"rotary_pos_emb", true}, {"attn_dim_head", 31}}), "rotary_pos_emb"));
  EXPECT_TRUE(holds(refusal({{"rotary_pos_emb", true}, {"rotary_emb_dim", 33}}), "odd"));
  EXPECT_TRUE(holds(refusal({{"rotary_xpos", true}}, "Encoder"), "rotary_xpos", "Decoder"));
  EXPECT_TRUE(holds(refusal({{"rotary_pos_emb", true}}, "CrossAttender"), "self-attention"));
  EXPECT_TRUE(holds(refusal({{"rotary_interpolation_factor", 0.5}}), "interpolation"));
}

TEST(ZetaConfigLayers, FeedForward) {
  EXPECT_EQ(layers({{"ff_mult", 2.6}}).feed_forward.width, 62);  // of 62.4
  EXPECT_EQ(layers({{"ff_swish", true}}).feed_forward.activation, Activation::silu);
  const auto squared = layers({{"ff_swish", true}, {"ff_relu_squared", true}}).feed_forward;
  EXPECT_EQ(squared.activation, Activation::relu_squared);
  const auto gated = layers({{"ff_glu", true}, {"ff_glu_mult_bias", true}}).feed_forward;
  EXPECT_TRUE(gated.gated);
  EXPECT_TRUE(gated.gate_scale);
  EXPECT_FALSE(layers({{"ff_glu_mult_bias", true}}).feed_forward.gate_scale);
  EXPECT_TRUE(layers({{"ff_post_act_ln", true}}).feed_forward.norm_hidden);
  EXPECT_FALSE(layers({{"ff_no_bias", true}}).feed_forward.bias);
  EXPECT_EQ(layers({{"macaron", true}}).feed_forward.factor, 0.5f);
  EXPECT_TRUE(holds(refusal({{"ff_mult", 0.01}}), "ff_mult"));
  EXPECT_TRUE(holds(refusal({{"ff_mult", 1e6}}), "ff_mult"));
  EXPECT_TRUE(holds(refusal({{"ff_dim_out", 12}}), "ff_dim_out", "not supported"));
  EXPECT_NO_THROW(layers({{"ff_dim_out", 24}}));
}

TEST(ZetaConfigLayers, Norms) {
  EXPECT_EQ(layers({{"use_rmsnorm", true}}).norm, NormKind::rms);
  EXPECT_EQ(layers({{"use_simple_rmsnorm", true}}).norm, NormKind::simple_rms);
  EXPECT_EQ(layers({{"use_scalenorm", true}}).norm, NormKind::scale);
  EXPECT_FALSE(layers({{"pre_norm", false}}).norm_before);
  EXPECT_TRUE(layers({{"sandwich_norm", true}}).norm_branch);
  const LayersShape dual = layers({{"resi_dual", true}, {"resi_dual_scale", 0.5}});
  EXPECT_TRUE(dual.dual);
  EXPECT_FALSE(dual.norm_before);
  EXPECT_EQ(dual.dual_scale, 0.5f);
  const LayersShape scaled = layers({{"scale_residual", true}, {"scale_residual_constant", 1.5}});
  EXPECT_TRUE(scaled.residual_scales);
  EXPECT_EQ(scaled.residual_factor, 1.5f);

  EXPECT_TRUE(holds(refusal({{"use_rmsnorm", true}, {"use_scalenorm", true}}), "use_scalenorm"));
  EXPECT_TRUE(holds(refusal({{"sandwich_norm", true}, {"resi_dual", true}}), "sandwich_norm"));
  EXPECT_TRUE(holds(refusal({{"sandwich_norm", true}, {"pre_norm", false}}), "sandwich_norm"));
  EXPECT_TRUE(holds(refusal({{"resi_dual_scale", 1.5}}), "resi_dual_scale"));
}

TEST(ZetaConfigLayers, DeepNormHasItsOwnNorms) {
  const LayersShape shape =
      layers({{"deepnorm", true}, {"sandwich_norm", true}, {"resi_dual", true}});
  EXPECT_FALSE(shape.norm_before);
  EXPECT_FALSE(shape.norm_branch);
  EXPECT_FALSE(shape.dual);
  EXPECT_TRUE(shape.residual_scales);
  EXPECT_EQ(shape.residual_factor, static_cast<float>(std::sqrt(2)));  // of (2 * 2)^(1/4)
  EXPECT_TRUE(holds(refusal({{"deepnorm", true}, {"scale_residual_constant", 2}}), "constant"));
}

TEST(ZetaConfigLayers, RefusesASizeThatNoModelHas) {
  for (const char* name : {"dim", "depth", "heads", "attn_dim_head", "attn_kv_heads"}) {
    for (const json& size : {json(0), json(-1), json(1 << 21), json(1.5), json("7")}) {
      EXPECT_TRUE(holds(refusal({{name, size}}), std::string("layers.") + name)) << size;
    }
  }
  for (const char* name : {"dim", "depth"}) {
    EXPECT_TRUE(holds(refusal({{name, nullptr}}), std::string("layers.") + name, "missing"));
  }
  EXPECT_TRUE(holds(refusal({{"heads", 1 << 15}}), "layers.heads", "together"));
}

}  // namespace
}  // namespace paligemma::zeta
