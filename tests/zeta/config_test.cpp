#include "zeta/config.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tensor/errors.h"
#include "tests/support/error_text.h"
#include "tests/support/run_program.h"
#include "tests/support/source_dir.h"
#include "tests/support/temporary_folder.h"

namespace paligemma::zeta {
namespace {

using namespace test;
using nlohmann::json;

Config parsed(const json& object) { return parse_config(object.dump(), "config.json"); }

PalmEShape palme(const json& arguments) {
  json object = {{"architectures", {"PalmE"}}};
  object.update(arguments);
  return std::get<PalmEShape>(parsed(object).model);
}

json with_layers(const json& arguments, const json& layers) {
  json object = {{"architectures", {"ZetaTransformer"}},
                 {"num_tokens", 29},
                 {"max_seq_len", 24},
                 {"attn_layers", {{"type", "Decoder"}, {"dim", 24}, {"depth", 2}}}};
  if (!arguments.is_null()) object.update(arguments);
  if (!layers.is_null()) object["attn_layers"].update(layers);
  return object;
}

TransformerShape transformer(const json& arguments, const json& layers = json::object()) {
  return std::get<TransformerShape>(parsed(with_layers(arguments, layers)).model);
}

std::string refusal(const json& object) {
  return error_text<ModelFileError>([&] { parsed(object); });
}

std::string refusal(const json& arguments, const json& layers) {
  return refusal(with_layers(arguments, layers));
}

// docs/zeta/config.md, "One file, read".
TEST(ZetaConfig, WorkedExample) {
  const json object = json::parse(R"({
    "architectures": ["PalmE"], "image_size": 48, "patch_size": 8, "encoder_dim": 64,
    "encoder_depth": 2, "encoder_heads": 2, "num_tokens": 8, "max_seq_len": 16, "decoder_dim": 64,
    "decoder_depth": 2, "decoder_heads": 2, "alibi_num_heads": 1,
    "vocabulary": [".", "x", "o", "X", "O", "-", "<end>", "<start>"], "start_tokens": [7],
    "eos_token": 6})");
  const Config config = parsed(object);
  EXPECT_EQ(config.vocabulary.at(7), "<start>");
  EXPECT_EQ(config.start_tokens, std::vector<TokenId>{7});
  EXPECT_EQ(config.eos_token, 6);
  EXPECT_EQ(json::parse(config.json), object);

  const auto& [vision, text] = std::get<PalmEShape>(config.model);
  EXPECT_EQ(vision.patches(), 36);
  EXPECT_EQ(vision.patch_numbers(), 192);
  EXPECT_EQ(vision.classes, 0);
  EXPECT_FALSE(vision.norm_embeddings);
  EXPECT_FALSE(vision.layers.causal);
  EXPECT_EQ(vision.layers.width, 64);
  EXPECT_EQ(vision.layers.heads, 2);
  EXPECT_EQ(vision.layers.head_size, 64);
  EXPECT_EQ(vision.layers.count(BlockKind::self_attention), 2);
  EXPECT_EQ(vision.layers.blocks.size(), 4u);
  EXPECT_FALSE(vision.layers.rotary);

  EXPECT_EQ(text.vocabulary, 8);
  EXPECT_EQ(text.outputs, 8);
  EXPECT_EQ(text.max_positions, 16);
  EXPECT_EQ(text.embedding_width, 64);
  EXPECT_EQ(text.positions, Positions::none);
  EXPECT_FALSE(text.tied_head);
  const LayersShape& layers = text.layers;
  using enum BlockKind;
  EXPECT_EQ(layers.blocks, (std::vector{self_attention, cross_attention, feed_forward,
                                        self_attention, cross_attention, feed_forward}));
  EXPECT_TRUE(layers.causal);
  EXPECT_EQ(layers.kv_heads, 2);
  EXPECT_EQ(layers.distance.alibi_heads, 1);
  EXPECT_EQ(layers.rotary->channels, 32);
  EXPECT_EQ(layers.rotary->base, 10000);
  EXPECT_EQ(layers.rotary->xpos_scale_base, 512);
  EXPECT_EQ(layers.unit_groups, 0);
  EXPECT_EQ(layers.score_scale, 0.125f);
  EXPECT_TRUE(layers.turn_values);
  EXPECT_FALSE(layers.norm_memories);
  EXPECT_EQ(layers.feed_forward.width, 256);
  EXPECT_EQ(layers.feed_forward.activation, Activation::gelu);
}

TEST(ZetaConfig, PalmEWithoutArgumentsIsThePublishedOne) {
  const auto [vision, text] = palme(json::object());
  EXPECT_EQ(vision.image_size, 256);
  EXPECT_EQ(vision.patch_size, 32);
  EXPECT_EQ(vision.patches(), 64);
  EXPECT_EQ(vision.layers.width, 512);
  EXPECT_EQ(vision.layers.heads, 8);
  EXPECT_EQ(vision.layers.blocks.size(), 12u);
  EXPECT_EQ(text.vocabulary, 20000);
  EXPECT_EQ(text.max_positions, 1024);
  EXPECT_EQ(text.layers.width, 512);
  EXPECT_EQ(text.layers.heads, 8);
  EXPECT_EQ(text.layers.blocks.size(), 18u);
  EXPECT_EQ(text.layers.distance.alibi_heads, 4);
}

TEST(ZetaConfig, TransformerWithoutMore) {
  const TransformerShape text = transformer(json::object());
  EXPECT_EQ(text.vocabulary, 29);
  EXPECT_EQ(text.outputs, 29);
  EXPECT_EQ(text.max_positions, 24);
  EXPECT_EQ(text.embedding_width, 24);
  EXPECT_EQ(text.positions, Positions::learned);
  EXPECT_EQ(text.memory_rows, 0);
  EXPECT_EQ(text.memory_tokens, 0);
  EXPECT_EQ(text.memory_shift, 0);
  EXPECT_EQ(transformer({{"logits_dim", 7}}).outputs, 7);
  EXPECT_EQ(transformer({{"logits_dim", 7}, {"tie_embedding", true}}).outputs, 29);
}

// One switch, four fields.
TEST(ZetaConfig, NumericsAreExpandedOnce) {
  const json given = {{"attn_qk_norm", true}, {"attn_flash", true}, {"rotary_pos_emb", true}};
  const LayersShape zetas = transformer({{"numerics", "zeta"}}, given).layers;
  EXPECT_EQ(zetas.score_scale, 1.0f / 640);
  EXPECT_TRUE(zetas.turn_values);
  EXPECT_FALSE(zetas.norm_memories);
  const LayersShape defined = transformer({{"numerics", "defined"}}, given).layers;
  EXPECT_EQ(defined.score_scale, 10);
  EXPECT_FALSE(defined.turn_values);
  EXPECT_TRUE(defined.norm_memories);

  EXPECT_EQ(palme({{"numerics", "zeta"}}).text.layers.unit_groups, 0);
  EXPECT_EQ(palme({{"numerics", "defined"}}).text.layers.unit_groups, 1);
  EXPECT_EQ(palme({{"numerics", "defined"}, {"qk_norm", false}}).text.layers.unit_groups, 0);
}

TEST(ZetaConfig, NumericsMayBeSaidOfEachField) {
  const json given = {{"attn_qk_norm", true}, {"attn_flash", true}, {"rotary_pos_emb", true}};
  const auto with = [&](const char* field) {
    return transformer({{"numerics", {{field, "defined"}}}}, given).layers;
  };
  EXPECT_EQ(with("score_scale").score_scale, 10);
  EXPECT_TRUE(with("score_scale").turn_values);
  EXPECT_FALSE(with("turn_values").turn_values);
  EXPECT_EQ(with("turn_values").score_scale, 1.0f / 640);
  EXPECT_TRUE(with("norm_memories").norm_memories);
  EXPECT_TRUE(with("norm_memories").turn_values);
  // PalmE as its page describes it, with the rest as zeta computes it.
  const LayersShape layers = palme({{"numerics", {{"qk_norm", "defined"}}}}).text.layers;
  EXPECT_EQ(layers.unit_groups, 1);
  EXPECT_EQ(layers.score_scale, 1.0f / 640);
  EXPECT_TRUE(layers.turn_values);

  EXPECT_TRUE(holds(refusal({{"numerics", "fixed"}}, json::object()), "numerics", "fixed"));
  EXPECT_TRUE(holds(refusal({{"numerics", {{"turn_values", "no"}}}}, {}), "numerics.turn_values"));
  EXPECT_TRUE(holds(refusal({{"numerics", {{"turned", "zeta"}}}}, {}), "numerics.turned"));
  EXPECT_TRUE(holds(refusal({{"numerics", 1}}, {}), "numerics"));
}

TEST(ZetaConfig, OnlyRotaryAndT5ReplaceLearnedPositions) {
  EXPECT_EQ(transformer({}, {{"alibi_pos_bias", true}}).positions, Positions::learned);
  EXPECT_EQ(transformer({}, {{"dynamic_pos_bias", true}}).positions, Positions::learned);
  EXPECT_EQ(transformer({}, {{"rotary_pos_emb", true}}).positions, Positions::none);
  EXPECT_EQ(transformer({}, {{"rel_pos_bias", true}}).positions, Positions::none);
  EXPECT_EQ(transformer({{"use_abs_pos_emb", false}}).positions, Positions::none);
  EXPECT_EQ(transformer({{"scaled_sinu_pos_emb", true}}).positions, Positions::sinusoidal);
  EXPECT_EQ(palme({{"use_abs_pos_emb", true}}).text.positions, Positions::none);
  EXPECT_EQ(palme({{"use_abs_pos_emb", true}, {"rotary_xpos", false}}).text.positions,
            Positions::learned);
  EXPECT_EQ(palme({{"rotary_xpos", false}}).text.positions, Positions::none);
}

TEST(ZetaConfig, NamesWhatWasMeant) {
  EXPECT_TRUE(holds(refusal({}, {{"qk_norm", true}}), "config.json.attn_layers.qk_norm",
                    "not an argument of Decoder", "attn_qk_norm"));
  EXPECT_TRUE(holds(refusal({{"embedding_provider", 1}}, {}), "config.json.embedding_provider",
                    "not an argument of ZetaTransformer"));
  EXPECT_TRUE(holds(refusal({{"architectures", {"PalmE"}}, {"attn_layers", json::object()}}),
                    "attn_layers", "not an argument of PalmE"));
}

TEST(ZetaConfig, KnowsItsArchitectures) {
  EXPECT_TRUE(is_zeta_config(R"({"architectures": ["PalmE"]})"));
  EXPECT_TRUE(is_zeta_config(R"({"architectures": ["ZetaTransformer"]})"));
  for (const char* other :
       {R"({"architectures": ["PaliGemmaForConditionalGeneration"]})",
        R"({"architectures": ["PalmE", "PalmE"]})", R"({"architectures": 7})",
        R"({"architectures": [7]})", R"({"architectures": "PalmE"})", "{}", "[]", "", "<html>"}) {
    EXPECT_FALSE(is_zeta_config(other)) << other;
    EXPECT_THROW(parse_config(other, "config.json"), ModelFileError) << other;
  }
}

TEST(ZetaConfig, RefusesWhatZetaFailsAt) {
  const json rotary = {{"rotary_pos_emb", true}, {"attn_dim_head", 16}};
  EXPECT_TRUE(holds(refusal({}, rotary), "rotary_pos_emb", "32 channels", "16"));
  EXPECT_TRUE(holds(refusal({{"tie_embedding", true}, {"emb_dim", 14}}, {}), "tie_embedding"));
  EXPECT_TRUE(holds(refusal({{"max_mem_len", 1.5}}, {}), "max_mem_len", "whole number"));
  EXPECT_TRUE(holds(refusal({{"scaled_sinu_pos_emb", true}, {"emb_dim", 7}}, {}), "even"));
  const json other_width = {{"architectures", {"PalmE"}}, {"decoder_dim", 256}};
  EXPECT_TRUE(holds(refusal(other_width), "config.json.decoder_dim", "encoder_dim"));
  EXPECT_EQ(palme({{"decoder_dim", 256}, {"cross_attend", false}}).text.layers.width, 256);
  const json few_heads = {{"architectures", {"PalmE"}}, {"decoder_heads", 2}};
  EXPECT_TRUE(holds(refusal(few_heads), "config.json.alibi_num_heads", "more than heads"));
  const json oblong = {{"architectures", {"PalmE"}}, {"image_size", 100}};
  EXPECT_TRUE(holds(refusal(oblong), "config.json.patch_size", "does not divide"));
  EXPECT_TRUE(holds(refusal({{"shift_mem_down", 3}}, {}), "shift_mem_down"));
}

TEST(ZetaConfig, RefusesWordsThatDoNotFit) {
  EXPECT_TRUE(holds(refusal({{"vocabulary", {"a", "b"}}}, {}), "vocabulary", "29"));
  EXPECT_TRUE(holds(refusal({{"start_tokens", {29}}}, {}), "start_tokens"));
  EXPECT_TRUE(holds(refusal({{"eos_token", 29}}, {}), "eos_token"));
  EXPECT_TRUE(parsed(with_layers({}, {})).start_tokens.empty());
  EXPECT_FALSE(parsed(with_layers({}, {})).eos_token.has_value());
}

TEST(ZetaConfig, RefusesASizeThatNoModelHas) {
  for (const char* name : {"num_tokens", "max_seq_len", "emb_dim", "logits_dim"}) {
    for (const json& size : {json(0), json(-1), json(1 << 25), json(1.5), json("7")}) {
      EXPECT_TRUE(holds(refusal({{name, size}}, {}), std::string("config.json.") + name)) << size;
    }
  }
  for (const char* name : {"max_mem_len", "num_memory_tokens", "shift_mem_down"}) {
    EXPECT_TRUE(holds(refusal({{name, 1 << 25}}, {}), std::string("config.json.") + name));
  }
  for (const char* name :
       {"image_size", "patch_size", "encoder_dim", "encoder_depth", "encoder_heads", "decoder_dim",
        "decoder_depth", "decoder_heads", "num_tokens", "max_seq_len", "alibi_num_heads"}) {
    const json object = {{"architectures", {"PalmE"}}, {name, 1 << 25}};
    EXPECT_TRUE(holds(refusal(object), std::string("config.json.") + name));
  }
}

TEST(ZetaConfig, ReadsAViTransformerWrapper) {
  json object = {{"architectures", {"ViTransformerWrapper"}},
                 {"image_size", 24},
                 {"patch_size", 8},
                 {"num_classes", 5},
                 {"channels", 1},
                 {"post_emb_norm", true},
                 {"attn_layers", {{"type", "Encoder"}, {"dim", 24}, {"depth", 2}}}};
  const auto vision = std::get<VisionShape>(parsed(object).model);
  EXPECT_EQ(vision.patches(), 9);
  EXPECT_EQ(vision.patch_numbers(), 64);
  EXPECT_EQ(vision.classes, 5);
  EXPECT_TRUE(vision.norm_embeddings);
  object["attn_layers"]["type"] = "Decoder";
  EXPECT_TRUE(holds(refusal(object), "attn_layers", "Encoder"));
  object["attn_layers"]["type"] = "Encoder";
  object["attn_layers"]["cross_attend"] = true;
  EXPECT_TRUE(holds(refusal(object), "attn_layers"));
}

// Every model that numbers were recorded of: read, or of tier 3 and refused by its option's name.
TEST(ZetaConfig, ReadsTheModelsOfTheGoldenArchives) {
  const json cases =
      json::parse(read_bytes(source_dir() + "/tests/golden/zeta/cases.json"))["cases"];
  Index read = 0, refused = 0;
  for (const auto& [name, about] : cases.items()) {
    for (const auto& [model, config] : about["models"].items()) {
      bool third = false;
      for (const json& call : about["calls"]) {
        if (call.value("model", "") != model) continue;
        for (const json& output : call["outputs"]) third = third || output["tier"] == 3;
      }
      if (third) {
        EXPECT_TRUE(holds(refusal(config), "config.json.attn_layers.", "not supported"))
            << name << " " << model;
      } else {
        EXPECT_NO_THROW(parsed(config)) << name << " " << model;
      }
      (third ? refused : read) += 1;
    }
  }
  EXPECT_EQ(read, 47);
  EXPECT_EQ(refused, 14);
}

TEST(ZetaConfig, IsReadFromAFolder) {
  const TemporaryFolder folder;
  EXPECT_TRUE(holds(error_text<NotFoundError>([&] { read_config(folder.path()); }), "config.json"));
  write_text(folder / "config.json", R"({"architectures": ["PalmE"], "colour": 1})");
  EXPECT_TRUE(holds(error_text<ModelFileError>([&] { read_config(folder.path()); }),
                    (folder / "config.json").string() + ".colour"));
}

}  // namespace
}  // namespace paligemma::zeta
