#include "paligemma/config.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tensor/errors.h"
#include "tests/support/compare.h"
#include "tests/support/error_text.h"
#include "tests/support/temporary_folder.h"

namespace paligemma {
namespace {

using namespace test;
using nlohmann::json;

Config parsed(const json& object) { return parse_config(object.dump(), "config.json"); }

std::string refusal(const json& object) {
  return error_text<ModelFileError>([&] { parsed(object); });
}

// google/paligemma-3b-pt-224. What it leaves out is the point.
json published_paligemma1() {
  return json::parse(R"({
    "bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 0, "hidden_size": 2048,
    "ignore_index": -100, "image_token_index": 257152, "model_type": "paligemma",
    "projection_dim": 2048, "vocab_size": 257216, "torch_dtype": "float32",
    "text_config": {
      "model_type": "gemma", "hidden_size": 2048, "intermediate_size": 16384,
      "num_attention_heads": 8, "num_key_value_heads": 1, "num_hidden_layers": 18,
      "vocab_size": 257216, "num_image_tokens": 256, "torch_dtype": "float32"},
    "vision_config": {
      "model_type": "siglip_vision_model", "hidden_size": 1152, "intermediate_size": 4304,
      "num_attention_heads": 16, "num_hidden_layers": 27, "patch_size": 14,
      "num_image_tokens": 256, "projection_dim": 2048, "projector_hidden_act": "gelu_fast",
      "vision_use_head": false}})");
}

// google/siglip-so400m-patch14-224.
json published_siglip() {
  return json::parse(R"({
    "architectures": ["SiglipModel"], "initializer_factor": 1.0, "model_type": "siglip",
    "text_config": {
      "hidden_size": 1152, "intermediate_size": 4304, "model_type": "siglip_text_model",
      "num_attention_heads": 16, "num_hidden_layers": 27, "max_position_embeddings": 16},
    "torch_dtype": "float32",
    "vision_config": {
      "hidden_size": 1152, "intermediate_size": 4304, "model_type": "siglip_vision_model",
      "num_attention_heads": 16, "num_hidden_layers": 27, "patch_size": 14}})");
}

// google/paligemma2-3b-pt-224: no heads, no head size, and the top level is another model's.
json published_paligemma2_3b() {
  return json::parse(R"({
    "_vocab_size": 257152, "bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 0,
    "hidden_size": 2048, "num_hidden_layers": 26, "projection_dim": 2304,
    "image_token_index": 257152, "model_type": "paligemma", "torch_dtype": "bfloat16",
    "text_config": {
      "model_type": "gemma2", "hidden_size": 2304, "intermediate_size": 9216,
      "num_hidden_layers": 26, "num_key_value_heads": 4, "attn_logit_softcapping": 50.0,
      "final_logit_softcapping": 30.0, "query_pre_attn_scalar": 256, "sliding_window": 4096,
      "cache_implementation": "hybrid", "eos_token_id": [1, 107],
      "hidden_act": "gelu_pytorch_tanh", "hidden_activation": "gelu_pytorch_tanh",
      "vocab_size": 257216, "num_image_tokens": 256, "torch_dtype": "bfloat16"},
    "vision_config": {
      "model_type": "siglip_vision_model", "hidden_size": 1152, "intermediate_size": 4304,
      "num_attention_heads": 16, "num_hidden_layers": 27, "patch_size": 14,
      "num_positions": 256, "projection_dim": 2304, "vision_use_head": false}})");
}

// google/paligemma2-10b-ft-docci-448 has no top-level width, and says the picture's size.
json published_paligemma2_10b() {
  json object = published_paligemma2_3b();
  object.erase("hidden_size");
  object["num_hidden_layers"] = 42;
  object["projection_dim"] = 3584;
  object["text_config"].update({{"hidden_size", 3584},
                                {"intermediate_size", 14336},
                                {"num_hidden_layers", 42},
                                {"num_attention_heads", 16},
                                {"num_key_value_heads", 8}});
  object["vision_config"].update({{"image_size", 448}, {"num_positions", 1024}});
  return object;
}

json published_paligemma2_28b() {
  json object = published_paligemma2_10b();
  object["text_config"].update({{"hidden_size", 4608},
                                {"intermediate_size", 36864},
                                {"num_hidden_layers", 46},
                                {"num_attention_heads", 32},
                                {"num_key_value_heads", 16},
                                {"head_dim", 128},
                                {"query_pre_attn_scalar", 144}});
  object["vision_config"]["num_positions"] = 4096;
  return object;
}

// The least that is accepted.
json smallest(const std::string& model_type) {
  json object = {{"model_type", "paligemma"},
                 {"image_token_index", 9},
                 {"text_config", {{"model_type", model_type}}},
                 {"vision_config", json::object()}};
  if (model_type == "gemma2") object["text_config"]["query_pre_attn_scalar"] = 256;
  return object;
}

// docs/paligemma/config.md, "One file, read".
TEST(Config, OfAVisionTowerMayBeASiglips) {
  const auto tower = [](const json& object) {
    return parse_config(object.dump(), "config.json", Towers::vision);
  };
  const Config siglip = tower(published_siglip());
  EXPECT_EQ(siglip.architecture, "siglip");
  EXPECT_EQ(siglip.vision.patches(), 256);
  EXPECT_EQ(siglip.vision.width, 1152);
  EXPECT_EQ(siglip.vision.head_mlp_width, 4304);
  EXPECT_TRUE(siglip.pooling_head);
  EXPECT_EQ(siglip.text.width, 0);
  EXPECT_EQ(siglip.text.layers, 0);
  EXPECT_EQ(tower(published_siglip()["vision_config"]).vision.layers, 27);
  EXPECT_TRUE(holds(refusal(published_siglip()), "siglip", "paligemma embed"));

  const Config paligemma = tower(published_paligemma1());
  EXPECT_EQ(paligemma.text.width, 2048);  // the projector's
  EXPECT_EQ(paligemma.text.layers, 0);
  EXPECT_TRUE(paligemma.pooling_head);
  EXPECT_FALSE(parsed(published_paligemma1()).pooling_head);
}

TEST(Config, WorkedExample) {
  const Config config = parsed(published_paligemma1());
  EXPECT_EQ(config.architecture, "paligemma");
  EXPECT_EQ(config.image_token, 257152);
  EXPECT_EQ(config.end_tokens, std::set<TokenId>{1});
  EXPECT_TRUE(config.tied_head);
  EXPECT_EQ(json::parse(config.json), published_paligemma1());

  const auto& vision = config.vision;
  EXPECT_EQ(vision.image_size, 224);  // left out
  EXPECT_EQ(vision.patch_size, 14);
  EXPECT_EQ(vision.patches(), 256);
  EXPECT_EQ(vision.width, 1152);
  EXPECT_EQ(vision.mlp_width, 4304);
  EXPECT_EQ(vision.heads, 16);
  EXPECT_EQ(vision.layers, 27);
  EXPECT_EQ(vision.norm_eps, 1e-6f);       // left out
  EXPECT_EQ(vision.gelu, GeluForm::tanh);  // left out

  const auto& text = config.text;
  EXPECT_EQ(text.vocabulary, 257216);
  EXPECT_EQ(text.width, 2048);
  EXPECT_EQ(text.mlp_width, 16384);
  EXPECT_EQ(text.layers, 18);
  EXPECT_EQ(text.heads, 8);
  EXPECT_EQ(text.kv_heads, 1);
  EXPECT_EQ(text.head_size, 256);               // left out
  EXPECT_EQ(text.embedding_scale, 45.254834f);  // sqrt(2048), not rounded to bf16
  EXPECT_EQ(text.query_scale, 1.0f / 16);
  EXPECT_EQ(text.rope_theta, 10000.0f);  // left out
  EXPECT_EQ(text.norms, gemma::Norms::pre);
  EXPECT_EQ(text.norm_eps, 1e-6f);  // left out
  EXPECT_EQ(text.norm_offset, 1.0f);
  EXPECT_EQ(text.max_positions, 8192);   // left out
  EXPECT_EQ(text.gelu, GeluForm::tanh);  // left out
  EXPECT_EQ(text.attention_soft_cap, kNoSoftCap);
  EXPECT_EQ(text.final_soft_cap, kNoSoftCap);
  EXPECT_EQ(text.window, std::vector<Index>(18, kNoWindow));
}

TEST(Config, ReadsThePublishedPaliGemma2WithoutItsHeads) {
  const Config config = parsed(published_paligemma2_3b());
  EXPECT_EQ(config.architecture, "paligemma2");
  EXPECT_EQ(config.end_tokens, std::set<TokenId>{1});  // the top level's
  const auto& text = config.text;
  EXPECT_EQ(text.norms, gemma::Norms::pre_and_post);
  EXPECT_EQ(text.norm_offset, 1.0f);
  EXPECT_EQ(text.embedding_scale, 48.0f);
  EXPECT_EQ(text.width, 2304);
  EXPECT_EQ(text.layers, 26);
  EXPECT_EQ(text.heads, 8);  // left out
  EXPECT_EQ(text.kv_heads, 4);
  EXPECT_EQ(text.head_size, 256);  // left out; not 2304 / 8
  EXPECT_EQ(text.query_scale, 1.0f / 16);
  EXPECT_EQ(text.attention_soft_cap, 50.0f);
  EXPECT_EQ(text.final_soft_cap, 30.0f);
  for (Index i = 0; i < 26; ++i) EXPECT_EQ(text.window[i], i % 2 == 0 ? 4096 : kNoWindow) << i;
}

TEST(Config, ReadsTheLargerPaliGemma2) {
  const Config ten = parsed(published_paligemma2_10b());
  EXPECT_EQ(ten.text.width, 3584);
  EXPECT_EQ(ten.text.heads, 16);
  EXPECT_EQ(ten.text.kv_heads, 8);
  EXPECT_EQ(ten.text.head_size, 256);
  EXPECT_EQ(ten.vision.image_size, 448);
  EXPECT_EQ(ten.vision.patches(), 1024);

  const Config twenty_eight = parsed(published_paligemma2_28b());
  EXPECT_EQ(twenty_eight.text.head_size, 128);
  EXPECT_EQ(twenty_eight.text.layers, 46);
  // 1/12, not 1/sqrt(128): the root of width / heads.
  EXPECT_EQ(twenty_eight.text.query_scale, 1.0f / 12);
  EXPECT_EQ(twenty_eight.vision.patches(), 1024);  // num_positions says otherwise and is wrong
}

TEST(Config, LooksAtNoWidthOfTheTopLevel) {
  json object = published_paligemma2_3b();
  const Config before = parsed(object);
  object.update({{"hidden_size", 7},
                 {"vocab_size", 8},
                 {"num_hidden_layers", 9},
                 {"projection_dim", 10},
                 {"head_dim", 11},
                 {"intermediate_size", 12}});
  const Config after = parsed(object);
  EXPECT_EQ(after.text.width, before.text.width);
  EXPECT_EQ(after.text.vocabulary, before.text.vocabulary);
  EXPECT_EQ(after.text.layers, before.text.layers);
  EXPECT_EQ(after.text.head_size, before.text.head_size);
  EXPECT_EQ(after.text.mlp_width, before.text.mlp_width);
}

TEST(Config, FillsInTheDefaultsOfSiglip) {
  const auto vision = parsed(smallest("gemma")).vision;
  EXPECT_EQ(vision.image_size, 224);
  EXPECT_EQ(vision.patch_size, 16);
  EXPECT_EQ(vision.width, 768);
  EXPECT_EQ(vision.mlp_width, 3072);
  EXPECT_EQ(vision.heads, 12);
  EXPECT_EQ(vision.layers, 12);
  EXPECT_EQ(vision.norm_eps, 1e-6f);
  EXPECT_EQ(vision.gelu, GeluForm::tanh);
}

TEST(Config, FillsInTheDefaultsOfGemma) {
  const Config config = parsed(smallest("gemma"));
  EXPECT_EQ(config.text.vocabulary, 256000);
  EXPECT_EQ(config.text.width, 3072);
  EXPECT_EQ(config.text.mlp_width, 24576);
  EXPECT_EQ(config.text.layers, 28);
  EXPECT_EQ(config.text.heads, 16);
  EXPECT_EQ(config.text.kv_heads, 16);
  EXPECT_EQ(config.text.head_size, 256);
  EXPECT_TRUE(config.end_tokens.empty());
  json without_type = smallest("gemma");
  without_type["text_config"].erase("model_type");
  EXPECT_EQ(parsed(without_type).architecture, "paligemma");
}

TEST(Config, FillsInTheDefaultsOfGemma2) {
  const auto text = parsed(smallest("gemma2")).text;
  EXPECT_EQ(text.vocabulary, 256000);
  EXPECT_EQ(text.width, 2304);
  EXPECT_EQ(text.mlp_width, 9216);
  EXPECT_EQ(text.layers, 26);
  EXPECT_EQ(text.heads, 8);
  EXPECT_EQ(text.kv_heads, 4);
  EXPECT_EQ(text.head_size, 256);
  EXPECT_EQ(text.attention_soft_cap, 50.0f);
  EXPECT_EQ(text.final_soft_cap, 30.0f);
  EXPECT_EQ(text.window[0], 4096);
  EXPECT_EQ(text.window[1], kNoWindow);
}

TEST(Config, TreatsNullAsAbsentExceptWhereItMeansNone) {
  json object = published_paligemma2_3b();
  object["text_config"].update({{"head_dim", nullptr},
                                {"rope_theta", nullptr},
                                {"layer_types", nullptr},
                                {"rope_parameters", nullptr}});
  EXPECT_EQ(parsed(object).text.head_size, 256);
  EXPECT_EQ(parsed(object).text.window[0], 4096);

  object["text_config"].update({{"attn_logit_softcapping", nullptr},
                                {"final_logit_softcapping", nullptr},
                                {"sliding_window", nullptr}});
  const auto text = parsed(object).text;
  EXPECT_EQ(text.attention_soft_cap, kNoSoftCap);
  EXPECT_EQ(text.final_soft_cap, kNoSoftCap);
  EXPECT_EQ(text.window, std::vector<Index>(26, kNoWindow));
}

TEST(Config, LayerTypesSayWhichLayersHaveAWindow) {
  json object = published_paligemma2_3b();
  object["text_config"].update(
      {{"num_hidden_layers", 3},
       {"sliding_window", 5},
       {"layer_types", {"full_attention", "sliding_attention", "sliding_attention"}}});
  EXPECT_EQ(parsed(object).text.window, (std::vector<Index>{kNoWindow, 5, 5}));
  object["text_config"]["sliding_window"] = nullptr;
  EXPECT_EQ(parsed(object).text.window, std::vector<Index>(3, kNoWindow));
}

// PaliGemma caps the logits itself, whatever its text_config is; attention is Gemma's own.
TEST(Config, TheOldGemmaCapsItsLogitsIfItIsTold) {
  json object = published_paligemma1();
  object["text_config"].update({{"attn_logit_softcapping", 50.0},
                                {"final_logit_softcapping", 30.0},
                                {"query_pre_attn_scalar", 4}});
  const auto text = parsed(object).text;
  EXPECT_EQ(text.window[0], kNoWindow);
  EXPECT_EQ(text.attention_soft_cap, kNoSoftCap);
  EXPECT_EQ(text.final_soft_cap, 30.0f);
  EXPECT_EQ(text.query_scale, 1.0f / 16);
}

// rope_scaling, which is rope_parameters' old name, replaces it whole; what it does not say stands beside it.
TEST(Config, TakesTheBaseOfRopeWhereTransformersDoes) {
  const auto theta = [](const json& fields) {
    json object = published_paligemma1();
    object["text_config"].update(fields);
    return parsed(object).text.rope_theta;
  };
  EXPECT_EQ(theta({{"rope_parameters", {{"rope_theta", 50}}}, {"rope_theta", 60}}), 50.0f);
  EXPECT_EQ(theta({{"rope_parameters", {{"rope_type", "default"}}}, {"rope_theta", 60}}), 60.0f);
  EXPECT_EQ(
      theta({{"rope_scaling", {{"rope_theta", 70}}}, {"rope_parameters", {{"rope_theta", 50}}}}),
      70.0f);
  EXPECT_EQ(
      theta({{"rope_scaling", {{"type", "default"}}}, {"rope_parameters", {{"rope_theta", 50}}}}),
      10000.0f);
  EXPECT_EQ(theta({{"rope_scaling", json::object()}, {"rope_parameters", {{"rope_theta", 50}}}}),
            50.0f);
  EXPECT_EQ(theta({{"rope_scaling", nullptr}, {"rope_theta", 60}}), 60.0f);
}

TEST(Config, TakesTheSpellingsOfEveryRelease) {
  json object = published_paligemma1();
  object["text_config"]["rope_theta"] = 5000.0;
  EXPECT_EQ(parsed(object).text.rope_theta, 5000.0f);
  object["text_config"]["rope_parameters"] = {{"rope_theta", 7000.0}, {"rope_type", "default"}};
  EXPECT_EQ(parsed(object).text.rope_theta, 7000.0f);  // the newer one counts
  object["text_config"].erase("rope_theta");
  EXPECT_EQ(parsed(object).text.rope_theta, 7000.0f);

  object["image_token_id"] = 31;
  EXPECT_EQ(parsed(object).image_token, 31);  // here too
  object.erase("image_token_index");
  EXPECT_EQ(parsed(object).image_token, 31);

  object.erase("torch_dtype");
  object["dtype"] = "bfloat16";  // says nothing: the files know their own type
  EXPECT_NO_THROW(parsed(object));
}

TEST(Config, TheImageTokenMayStandRightBehindTheTable) {
  json object = published_paligemma1();
  object["image_token_index"] = 257216;
  EXPECT_EQ(parsed(object).image_token, 257216);
}

TEST(Config, ReadsWhichGeluIsMeant) {
  json object = published_paligemma1();
  for (const char* form :
       {"gelu_pytorch_tanh", "gelu_new", "gelu_fast", "gelu_accurate", "gelu_python_tanh"}) {
    object["vision_config"]["hidden_act"] = form;
    object["text_config"]["hidden_act"] = form;
    EXPECT_EQ(parsed(object).vision.gelu, GeluForm::tanh) << form;
    EXPECT_EQ(parsed(object).text.gelu, GeluForm::tanh) << form;
  }
  object["vision_config"]["hidden_act"] = "gelu";
  EXPECT_EQ(parsed(object).vision.gelu, GeluForm::exact);
  // The first release of Gemma wrote "gelu" and was trained with the other.
  object["text_config"]["hidden_act"] = "gelu";
  EXPECT_EQ(parsed(object).text.gelu, GeluForm::tanh);
  object["text_config"]["hidden_act"] = "gelu_python";
  EXPECT_EQ(parsed(object).text.gelu, GeluForm::exact);

  json gemma2 = published_paligemma2_3b();
  gemma2["text_config"]["hidden_activation"] = "gelu";
  EXPECT_EQ(parsed(gemma2).text.gelu, GeluForm::exact);
}

TEST(Config, ReadsTheRemainingFields) {
  json object = published_paligemma2_3b();
  object["tie_word_embeddings"] = false;
  object["text_config"].update({{"rms_norm_eps", 1e-5},
                                {"max_position_embeddings", 512},
                                {"head_dim", 64},
                                {"query_pre_attn_scalar", 100}});
  object["vision_config"].update({{"layer_norm_eps", 1e-4}, {"image_size", 30}});
  const Config config = parsed(object);
  EXPECT_FALSE(config.tied_head);
  EXPECT_EQ(config.text.norm_eps, 1e-5f);
  EXPECT_EQ(config.text.max_positions, 512);
  EXPECT_EQ(config.text.head_size, 64);
  EXPECT_EQ(config.text.query_scale, 1.0f / 10);
  EXPECT_EQ(config.vision.norm_eps, 1e-4f);
  EXPECT_EQ(config.vision.patches(), 4);  // 30 / 14 leaves a rest
}

// Refusals name the field.

TEST(Config, RefusesASizeThatIsNone) {
  const std::vector<std::pair<const char*, std::vector<const char*>>> all{
      {"vision_config",
       {"image_size", "patch_size", "hidden_size", "intermediate_size", "num_attention_heads",
        "num_hidden_layers", "num_channels"}},
      {"text_config",
       {"vocab_size", "hidden_size", "intermediate_size", "num_attention_heads",
        "num_key_value_heads", "num_hidden_layers", "head_dim", "max_position_embeddings",
        "sliding_window"}}};
  for (const auto& [part, names] : all) {
    for (const char* name : names) {
      for (const char* value : {"0", "-1", "1.5", "2.0", "\"8\"", "[8]", "{}", "true",
                                "18446744073709551615", "9223372036854775808", "1e30"}) {
        json object = published_paligemma2_3b();
        object[part][name] = json::parse(value);
        EXPECT_TRUE(holds(refusal(object), std::string("config.json.") + part + "." + name))
            << value;
      }
    }
  }
}

TEST(Config, RefusesASizeThatNoModelHas) {
  for (const auto& [part, name, most] : std::vector<std::tuple<const char*, const char*, Index>>{
           {"vision_config", "image_size", 1 << 14},
           {"vision_config", "hidden_size", 1 << 20},
           {"vision_config", "num_hidden_layers", 1024},
           {"text_config", "vocab_size", 1 << 24},
           {"text_config", "intermediate_size", 1 << 20},
           {"text_config", "num_hidden_layers", 1024},
           {"text_config", "max_position_embeddings", 1 << 24}}) {
    json object = published_paligemma2_3b();
    object[part][name] = most;
    EXPECT_NO_THROW(parsed(object)) << name;
    object[part][name] = most + 1;
    EXPECT_TRUE(holds(refusal(object), name, std::to_string(most + 1), std::to_string(most)));
  }
}

// Each bounded alone, together they would be more parameters than an Index can count.
TEST(Config, RefusesHeadsThatAreTooWideTogether) {
  json object = published_paligemma1();
  object["text_config"].update({{"num_attention_heads", 1 << 20}, {"head_dim", 1 << 20}});
  EXPECT_TRUE(holds(refusal(object), "text_config.head_dim"));
}

TEST(Config, RefusesSizesThatDoNotFitOneAnother) {
  const std::vector<std::tuple<const char*, const char*, int>> all{
      {"vision_config", "num_attention_heads", 7}, {"vision_config", "patch_size", 225},
      {"vision_config", "num_channels", 1},        {"text_config", "num_key_value_heads", 3},
      {"text_config", "num_key_value_heads", 16},  {"text_config", "head_dim", 255}};
  for (const auto& [part, name, value] : all) {
    json object = published_paligemma2_3b();
    object[part][name] = value;
    EXPECT_TRUE(holds(refusal(object), std::string(part) + "." + name)) << value;
  }
}

TEST(Config, RefusesNumbersOutOfRange) {
  const std::vector<std::tuple<const char*, const char*, json>> all{
      {"vision_config", "layer_norm_eps", -1e-6},
      {"vision_config", "layer_norm_eps", 2},
      {"text_config", "rms_norm_eps", "1e-6"},
      {"text_config", "rope_theta", 0},
      {"text_config", "rope_theta", -1},
      {"text_config", "query_pre_attn_scalar", 0},
      {"text_config", "query_pre_attn_scalar", -256},
      {"text_config", "query_pre_attn_scalar", "256"},
      {"text_config", "attn_logit_softcapping", 0},
      {"text_config", "final_logit_softcapping", -30},
      {"text_config", "final_logit_softcapping", false}};
  for (const auto& [part, name, value] : all) {
    json object = published_paligemma2_3b();
    object[part][name] = value;
    EXPECT_TRUE(holds(refusal(object), std::string(part) + "." + name)) << value;
  }
}

// transformers puts a configuration around it, colpali-engine names itself in it.
TEST(Config, ReadsBothOfColPali) {
  const json around{{"model_type", "colpali"}, {"vlm_config", published_paligemma1()}};
  Config config = parsed(around);
  EXPECT_EQ(config.retrieval_width, 128);
  EXPECT_FALSE(config.retrieval_width_is_open);
  EXPECT_EQ(config.architecture, "paligemma");
  EXPECT_EQ(config.text.layers, 18);
  EXPECT_EQ(config.image_token, 257152);
  json narrow = around;
  narrow["embedding_dim"] = 64;
  EXPECT_EQ(parsed(narrow).retrieval_width, 64);

  json engine = published_paligemma1();
  EXPECT_EQ(parsed(engine).retrieval_width, 0);
  engine["architectures"] = {"ColPali"};
  config = parsed(engine);
  EXPECT_EQ(config.retrieval_width, 128);
  EXPECT_TRUE(config.retrieval_width_is_open);
}

TEST(Config, RefusesAColPaliThatSaysTooLittle) {
  EXPECT_EQ(refusal({{"model_type", "colpali"}}),
            "config.json.vlm_config: missing, or not an object");
  json wrong{{"model_type", "colpali"}, {"vlm_config", published_paligemma1()}};
  wrong["embedding_dim"] = 0;
  EXPECT_NE(refusal(wrong).find(".embedding_dim"), std::string::npos);
  wrong["embedding_dim"] = 128;
  wrong["vlm_config"].erase("image_token_index");
  EXPECT_NE(refusal(wrong).find("vlm_config.image_token_index"), std::string::npos);
}

TEST(Config, RefusesAnotherModel) {
  for (const json& type : {json("llava"), json("gemma"), json(""), json(nullptr), json(1)}) {
    json object = published_paligemma1();
    object["model_type"] = type;
    EXPECT_TRUE(holds(refusal(object), "config.json.model_type")) << type;
    object = published_paligemma1();
    if (type == "gemma" || type.is_null()) continue;
    object["text_config"]["model_type"] = type;
    EXPECT_TRUE(holds(refusal(object), "text_config.model_type")) << type;
  }
}

TEST(Config, RefusesWhatIsMissing) {
  for (const char* name : {"model_type", "text_config", "vision_config", "image_token_index"}) {
    json object = published_paligemma2_3b();
    object.erase(name);
    EXPECT_TRUE(holds(refusal(object), std::string("config.json.") + name));
    object[name] = json::array();
    EXPECT_TRUE(holds(refusal(object), std::string("config.json.") + name));
  }
  // Hugging Face's default was 224 before it was 256.
  json object = published_paligemma2_3b();
  object["text_config"].erase("query_pre_attn_scalar");
  EXPECT_TRUE(holds(refusal(object), "text_config.query_pre_attn_scalar", "missing"));
}

TEST(Config, RefusesWhatItCannotCompute) {
  const std::vector<std::tuple<const char*, const char*, json>> all{
      {"text_config", "attention_bias", true},
      {"text_config", "attention_bias", "false"},
      {"text_config", "hidden_activation", "silu"},
      {"text_config", "hidden_activation", 3},
      {"vision_config", "hidden_act", "quick_gelu"},
      {"text_config", "rope_parameters", {{"rope_type", "yarn"}, {"rope_theta", 10000}}},
      {"text_config", "rope_parameters", 10000},
      {"text_config", "layer_types", {"sliding_attention"}},
      {"text_config", "layer_types", "sliding_attention"},
      {"text_config", "layer_types", std::vector<std::string>(26, "chunked_attention")},
      {"text_config", "layer_types", std::vector<int>(26, 1)}};
  for (const auto& [part, name, value] : all) {
    json object = published_paligemma2_3b();
    object[part][name] = value;
    EXPECT_TRUE(holds(refusal(object), std::string(part) + "." + name)) << value;
  }
  json gemma1 = published_paligemma1();
  gemma1["text_config"]["hidden_act"] = "relu";
  EXPECT_TRUE(holds(refusal(gemma1), "text_config.hidden_act", "relu"));
  gemma1["tie_word_embeddings"] = 1;
  EXPECT_THROW(parsed(gemma1), ModelFileError);
}

TEST(Config, RefusesAnImageTokenThatNoTableHas) {
  for (const json& id : {json(-1), json(257217), json(1.0), json("257152"), json(~0ull)}) {
    json object = published_paligemma1();
    object["image_token_index"] = id;
    EXPECT_TRUE(holds(refusal(object), "config.json.image_token_index")) << id;
  }
}

TEST(Config, RefusesEndTokensThatAreNone) {
  for (const json& ids : {json(-1), json("1"), json(1.0), json({1, "107"}), json({{1}}),
                          json(1 << 24), json(~0ull)}) {
    json object = published_paligemma1();
    object["eos_token_id"] = ids;
    EXPECT_TRUE(holds(refusal(object), "eos_token_id")) << ids;
  }
}

TEST(Config, RefusesWhatIsNotAnObject) {
  const auto refused = [](const std::string& text) {
    return error_text<ModelFileError>([&] { parse_config(text, "here"); });
  };
  for (const char* text : {"", "{", "no", "{\"model_type\": \"paligemma\",}"}) {
    EXPECT_TRUE(holds(refused(text), "here", "not JSON")) << text;
  }
  for (const char* text : {"[]", "1", "\"paligemma\"", "null"}) {
    EXPECT_TRUE(holds(refused(text), "here", "not a JSON object")) << text;
  }
  EXPECT_TRUE(holds(refused(R"({"model_type":"paligemma","model_type":"gemma"})"), "twice"));
  EXPECT_TRUE(holds(refused("{\"a\":" + std::string(100'000, '[')), "nested too deeply"));
}

// The folder.

class ConfigFolder : public ::testing::Test {
 protected:
  ConfigFolder() { write("config.json", published_paligemma1()); }
  void write(const char* name, const json& object) { write_text(folder_ / name, object.dump()); }
  Config read() { return read_config(folder_.path()); }
  std::string refusal_of_folder() {
    return error_text<ModelFileError>([&] { read(); });
  }

  TemporaryFolder folder_;
};

TEST_F(ConfigFolder, MayHoldNothingButTheConfiguration) {
  const Config config = read();
  EXPECT_EQ(config.text.width, 2048);
  EXPECT_EQ(config.resample, ResampleFilter::bicubic);
  EXPECT_EQ(config.pixel_scale.rescale, 0.00392156862745098);
  EXPECT_EQ(config.pixel_scale.mean, (std::array{0.5f, 0.5f, 0.5f}));
  EXPECT_EQ(config.pixel_scale.std, (std::array{0.5f, 0.5f, 0.5f}));
}

TEST_F(ConfigFolder, MustHoldTheConfiguration) {
  std::filesystem::remove(folder_ / "config.json");
  EXPECT_TRUE(holds(error_text<NotFoundError>([&] { read(); }), "config.json"));
  std::filesystem::create_directory(folder_ / "config.json");
  EXPECT_TRUE(holds(refusal_of_folder(), "config.json", "a folder, not a file"));
}

// As in transformers 5.23, where generation_config.json says which, else the top level, else text_config.
TEST_F(ConfigFolder, TheFirstThatNamesEndTokensCounts) {
  json object = published_paligemma1();
  object["eos_token_id"] = 1;
  object["text_config"]["eos_token_id"] = {2, 107};
  write("config.json", object);
  EXPECT_EQ(read().end_tokens, (std::set<TokenId>{1}));
  write("generation_config.json", {{"eos_token_id", {107, 5}}, {"max_length", 20}});
  EXPECT_EQ(read().end_tokens, (std::set<TokenId>{5, 107}));
  write("generation_config.json", {{"eos_token_id", 6}});
  EXPECT_EQ(read().end_tokens, (std::set<TokenId>{6}));
  write("generation_config.json", {{"eos_token_id", nullptr}});
  EXPECT_EQ(read().end_tokens, (std::set<TokenId>{1}));
  object.erase("eos_token_id");
  write("config.json", object);
  EXPECT_EQ(read().end_tokens, (std::set<TokenId>{2, 107}));
  write("generation_config.json", {{"eos_token_id", "5"}});
  EXPECT_TRUE(holds(refusal_of_folder(), "generation_config.json", "eos_token_id"));
}

json published_preprocessor() {
  return json::parse(R"({
    "do_convert_rgb": null, "do_normalize": true, "do_rescale": true, "do_resize": true,
    "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "image_seq_length": 256,
    "image_processor_type": "SiglipImageProcessor", "processor_class": "PaliGemmaProcessor",
    "resample": 3, "rescale_factor": 0.00392156862745098, "size": {"height": 224, "width": 224}})");
}

TEST_F(ConfigFolder, ReadsThePublishedPreprocessor) {
  write("preprocessor_config.json", published_preprocessor());
  const Config config = read();
  EXPECT_EQ(config.resample, ResampleFilter::bicubic);
  EXPECT_EQ(config.pixel_scale.rescale, 0.00392156862745098);
}

TEST_F(ConfigFolder, ReadsHowAPictureBecomesPixels) {
  json object = published_preprocessor();
  object.update({{"resample", 2},
                 {"rescale_factor", 0.5},
                 {"image_mean", {0.1, 0.2, 0.3}},
                 {"image_std", {1, 2, 3}}});
  write("preprocessor_config.json", object);
  const Config config = read();
  EXPECT_EQ(config.resample, ResampleFilter::bilinear);
  EXPECT_EQ(config.pixel_scale.rescale, 0.5);
  EXPECT_EQ(config.pixel_scale.mean, (std::array{0.1f, 0.2f, 0.3f}));
  EXPECT_EQ(config.pixel_scale.std, (std::array{1.0f, 2.0f, 3.0f}));

  object.update({{"image_mean", 0.25}, {"image_std", 2}});  // of all channels
  write("preprocessor_config.json", object);
  EXPECT_EQ(read().pixel_scale.mean, (std::array{0.25f, 0.25f, 0.25f}));
  EXPECT_EQ(read().pixel_scale.std, (std::array{2.0f, 2.0f, 2.0f}));
}

// As transformers 5.23.0: the class says true, the published files null.
TEST_F(ConfigFolder, SaysWhatBecomesOfTransparency) {
  EXPECT_TRUE(read().blends_alpha);
  json object = published_preprocessor();
  const auto blends = [&] {
    write("preprocessor_config.json", object);
    return read().blends_alpha;
  };
  object.erase("do_convert_rgb");
  EXPECT_TRUE(blends());
  object["do_convert_rgb"] = true;
  EXPECT_TRUE(blends());
  object["do_convert_rgb"] = false;
  EXPECT_FALSE(blends());
  object["do_convert_rgb"] = nullptr;
  EXPECT_FALSE(blends());
  object["do_convert_rgb"] = "no";
  EXPECT_THROW(blends(), ModelFileError);
}

TEST_F(ConfigFolder, LeavesOutTheStepsThatAreOff) {
  for (const json& off : {json(false), json(nullptr)}) {
    json object = published_preprocessor();
    object["do_rescale"] = off;
    write("preprocessor_config.json", object);
    EXPECT_EQ(read().pixel_scale.rescale, 1);
    EXPECT_EQ(read().pixel_scale.std[0], 0.5f);
    object = published_preprocessor();
    object["do_normalize"] = off;
    write("preprocessor_config.json", object);
    EXPECT_EQ(read().pixel_scale.mean, (std::array{0.0f, 0.0f, 0.0f}));
    EXPECT_EQ(read().pixel_scale.std, (std::array{1.0f, 1.0f, 1.0f}));
  }
}

TEST_F(ConfigFolder, NotesWhatAnswersAreAskedForInVain) {
  write("generation_config.json", {{"min_length", 2},
                                   {"bad_words_ids", {{4}}},
                                   {"num_beam_groups", 1},
                                   {"begin_suppress_tokens", nullptr}});
  EXPECT_TRUE(holds(read().generation.note, "generation_config.json",
                    "not done here: bad_words_ids, min_length"));
  write("generation_config.json", {{"eos_token_id", 1}, {"cache_implementation", "hybrid"}});
  EXPECT_EQ(read().generation.note, "");
  // Beams are not drawn among, and greedy has one answer.
  write("generation_config.json", {{"num_beams", 2}, {"do_sample", true}, {"stop_strings", {"a"}}});
  EXPECT_TRUE(holds(read().generation.note, "not done here: do_sample"));
  EXPECT_FALSE(holds(read().generation.note, "stop_strings"));
  EXPECT_EQ(read().generation.stop, std::vector<std::string>{"a"});
  write("generation_config.json", {{"num_return_sequences", 2}});
  EXPECT_TRUE(holds(read().generation.note, "not done here: num_return_sequences"));
}

TEST_F(ConfigFolder, SaysHowAnswersAreWritten) {
  EXPECT_EQ(read().generation.rules, TokenRules{});
  write("generation_config.json", {{"repetition_penalty", 1.25},
                                   {"no_repeat_ngram_size", 3},
                                   {"suppress_tokens", {7, 9}},
                                   {"max_new_tokens", 12},
                                   {"stop_strings", "end"},
                                   {"temperature", 0.5},
                                   {"min_p", 0.25}});
  const GenerationConfig plain = read().generation;
  EXPECT_EQ(plain.rules, (TokenRules{1.25f, 3, {7, 9}, 0}));
  EXPECT_EQ(plain.max_tokens, 12);
  EXPECT_EQ(plain.stop, std::vector<std::string>{"end"});
  EXPECT_EQ(plain.sampler, SamplerOptions{}) << "nothing is drawn";

  write("generation_config.json", {{"do_sample", true}, {"num_return_sequences", 2}});
  EXPECT_EQ(read().generation.sampler, (SamplerOptions{1, 50, 1, 0}));
  EXPECT_EQ(read().generation.answers, 2);
  write(
      "generation_config.json",
      {{"do_sample", true}, {"temperature", 0.5}, {"top_k", 0}, {"top_p", 0.75}, {"min_p", 0.25}});
  EXPECT_EQ(read().generation.sampler, (SamplerOptions{0.5f, 0, 0.75f, 0}));
  EXPECT_EQ(read().generation.rules.min_p, 0.25f);

  write("generation_config.json", {{"num_beams", 4},
                                   {"length_penalty", 0.5},
                                   {"early_stopping", "never"},
                                   {"num_return_sequences", 3}});
  EXPECT_EQ(read().generation.beams, (BeamOptions{4, 0.5f, EarlyStopping::never}));
  EXPECT_EQ(read().generation.answers, 3);
  write("generation_config.json", {{"num_beams", 2}, {"early_stopping", true}});
  EXPECT_EQ(read().generation.beams, (BeamOptions{2, 1, EarlyStopping::yes}));

  for (const auto& [field, bad] :
       std::vector<std::pair<const char*, json>>{{"repetition_penalty", 0},
                                                 {"no_repeat_ngram_size", -1},
                                                 {"suppress_tokens", {-1}},
                                                 {"num_beams", 0},
                                                 {"num_beams", 2000},
                                                 {"max_new_tokens", 0},
                                                 {"num_return_sequences", 0}}) {
    write("generation_config.json", {{field, bad}});
    EXPECT_TRUE(holds(refusal_of_folder(), "generation_config.json", field));
  }
  write("generation_config.json", {{"num_beams", 2}, {"early_stopping", "maybe"}});
  EXPECT_TRUE(holds(refusal_of_folder(), "early_stopping", "never"));
  write("generation_config.json", {{"do_sample", true}, {"temperature", 0}});
  EXPECT_TRUE(holds(refusal_of_folder(), "temperature"));
}

// Later releases nest it, and read it there first.
TEST_F(ConfigFolder, ReadsTheProcessorBeforeThePreprocessor) {
  json image = published_preprocessor();
  image["resample"] = 2;
  write("processor_config.json", {{"image_processor", image}, {"image_seq_length", 256}});
  EXPECT_EQ(read().resample, ResampleFilter::bilinear);
  write("preprocessor_config.json", published_preprocessor());
  EXPECT_EQ(read().resample, ResampleFilter::bilinear);

  image["resample"] = 0;
  write("processor_config.json", {{"image_processor", image}});
  EXPECT_TRUE(holds(refusal_of_folder(), "processor_config.json.image_processor.resample"));
  write("processor_config.json", {{"image_seq_length", 256}});
  EXPECT_EQ(read().resample, ResampleFilter::bicubic);
}

TEST_F(ConfigFolder, RefusesAnotherPreprocessor) {
  const std::vector<std::pair<const char*, json>> all{{"resample", 1},
                                                      {"resample", "bicubic"},
                                                      {"do_resize", false},
                                                      {"do_resize", nullptr},
                                                      {"do_normalize", "yes"},
                                                      {"rescale_factor", -1},
                                                      {"rescale_factor", "1/255"},
                                                      {"image_mean", "0.5"},
                                                      {"image_mean", {0.5}},
                                                      {"image_mean", {0.5, 0.5}},
                                                      {"image_mean", {0, 0, "0"}},
                                                      {"image_mean", {0, 0, 1e30}},
                                                      {"image_std", {0.5, 0, 0.5}},
                                                      {"size", {{"height", 448}, {"width", 224}}},
                                                      {"size", {{"height", 224}, {"width", 225}}}};
  for (const auto& [name, value] : all) {
    json object = published_preprocessor();
    object[name] = value;
    write("preprocessor_config.json", object);
    EXPECT_TRUE(holds(refusal_of_folder(), std::string("preprocessor_config.json.") + name))
        << value;
  }
}

TEST_F(ConfigFolder, RefusesEveryFileThatIsNotJson) {
  for (const char* name : {"config.json", "generation_config.json", "preprocessor_config.json"}) {
    const TemporaryFolder other;
    write_text(other / "config.json", published_paligemma1().dump());
    write_text(other / name, "<html>");
    EXPECT_TRUE(
        holds(error_text<ModelFileError>([&] { read_config(other.path()); }), name, "not JSON"));
  }
}

}  // namespace
}  // namespace paligemma
