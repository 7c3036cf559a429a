// The JSON files of a preset of Keras.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "paligemma/keras_preset.h"
#include "tensor/errors.h"
#include "tests/support/error_text.h"
#include "tests/support/keras_golden.h"
#include "tests/support/run_program.h"

namespace paligemma {
namespace {

using namespace test;
using nlohmann::json;

const std::filesystem::path kPreset = keras_folder() / "float32";

Config published() { return read_config(kPreset); }

json config_json() { return json::parse(read_bytes(kPreset / "config.json")); }

Config parsed(const json& object) { return parse_config(object.dump(), "config.json"); }

TEST(KerasConfig, FillsInWhatKerasLeavesOut) {
  const Config config = published();
  EXPECT_EQ(config.architecture, "paligemma");
  EXPECT_EQ(config.text.mlp_width, 14);  // intermediate_dim is twice that
  EXPECT_EQ(config.image_token, config.text.vocabulary);
  EXPECT_FLOAT_EQ(config.text.query_scale, 1 / std::sqrt(6.0f));
  EXPECT_FLOAT_EQ(config.text.embedding_scale, std::sqrt(10.0f));
  EXPECT_EQ(config.text.norm_offset, 1);
  EXPECT_EQ(config.text.window, std::vector<Index>(2, kNoWindow));
  json object = config_json();
  object["config"].erase("vit_intermediate_dim");
  EXPECT_EQ(parsed(object).vision.mlp_width, 4304);
}

TEST(KerasConfig, ReadsPaliGemma2) {
  const Config config = read_config(keras_folder() / "bfloat16");
  EXPECT_EQ(config.architecture, "paligemma2");
  EXPECT_EQ(config.text.norms, gemma::Norms::pre_and_post);
  EXPECT_EQ(config.text.attention_soft_cap, 5);
  EXPECT_EQ(config.text.final_soft_cap, 8);
  EXPECT_EQ(config.text.window, (std::vector<Index>{4096, kNoWindow}));
}

// As PaliGemma 2 of 28 billion is meant; keras_hub 0.32 computes with the size of a head all the same.
TEST(KerasConfig, DividesByTheWidthOfAHeadWhereThatIsSaid) {
  json object = config_json();
  object["config"]["query_head_dim_normalize"] = false;
  EXPECT_FLOAT_EQ(parsed(object).text.query_scale, 1 / std::sqrt(3.0f));
}

TEST(KerasConfig, SaysWhatBendsTheProjectorsRows) {
  for (const auto& [name, meant] :
       {std::pair("linear", ProjectorActivation::none),
        std::pair("gelu", ProjectorActivation::gelu), std::pair("tanh", ProjectorActivation::tanh),
        std::pair("softmax", ProjectorActivation::softmax)}) {
    json object = config_json();
    object["config"]["vit_classifier_activation"] = name;
    EXPECT_EQ(parsed(object).projector_activation, meant) << name;
  }
}

TEST(KerasConfig, RefusesByName) {
  const std::pair<const char*, json> wrong[] = {{"hidden_dim", nullptr},
                                                {"num_layers", 0},
                                                {"vocabulary_size", "many"},
                                                {"intermediate_dim", 29},
                                                {"head_dim", 5},
                                                {"num_key_value_heads", 2},
                                                {"vit_num_heads", 3},
                                                {"vit_patch_size", 29},
                                                {"layer_norm_epsilon", 1e-5},
                                                {"use_post_ffw_norm", true},
                                                {"vit_pooling", "map"},
                                                {"vit_classifier_activation", "relu"},
                                                {"attention_logit_soft_cap", -1},
                                                {"something_new", 3}};
  for (const auto& [name, value] : wrong) {
    json object = config_json();
    object["config"][name] = value;
    EXPECT_TRUE(holds(error_text<ModelFileError>([&] { parsed(object); }), "config.json", name));
  }
  json object = config_json();
  object["class_name"] = "GemmaBackbone";
  EXPECT_TRUE(holds(error_text<ModelFileError>([&] { parsed(object); }), "GemmaBackbone"));
}

TEST(ImageConverter, SaysHowAPictureBecomesPixels) {
  const auto read = [](const json& fields) {
    Config config = published();
    const json object{{"config", fields}};
    read_image_converter(JsonFields(object.dump(), "image_converter.json"), config);
    return config;
  };
  const Config plain = read(json::object());
  EXPECT_TRUE(plain.crops_picture);
  EXPECT_EQ(plain.pixel_scale.rescale, 1);
  EXPECT_EQ(plain.pixel_scale.mean[1], 0);
  const Config said = read({{"crop_to_aspect_ratio", false}, {"scale", 0.5}, {"offset", -3}});
  EXPECT_FALSE(said.crops_picture);
  EXPECT_EQ(said.pixel_scale.rescale, 0.5);
  EXPECT_EQ(said.pixel_scale.mean[2], 3);
  EXPECT_EQ(said.pixel_scale.std[0], 1);
  for (const auto& [name, value] :
       {std::pair("image_size", json{28, 29}), std::pair("interpolation", json("nearest")),
        std::pair("antialias", json(true)), std::pair("pad_to_aspect_ratio", json(true)),
        std::pair("scale", json{1, 2, 3}), std::pair("offset", json{1, 2, 3})}) {
    json fields;
    fields[name] = value;
    const std::string text = error_text<ModelFileError>([&] { read(fields); });
    EXPECT_TRUE(holds(text, "image_converter.json", name));
  }
}

}  // namespace
}  // namespace paligemma
