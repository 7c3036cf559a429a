#include "paligemma/presets.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "paligemma/checkpoint.h"
#include "paligemma/weights.h"
#include "tests/support/safetensors_writer.h"
#include "tests/support/temporary_folder.h"

namespace paligemma {
namespace {

using namespace test;

// What the published files hold: tensors, and parameters with 257216 rows of embedding. The counts
// of Keras, with its 257152 rows, are the second column; they were computed independently of ours.
struct Published {
  Index tensors, parameters, parameters_of_keras;
};
const std::map<std::string_view, Published> kPublished{
    {"paligemma-3b-224", {603, 2'923'466'480, 2'923'335'408}},
    {"paligemma-3b-448", {603, 2'924'351'216, 2'924'220'144}},
    {"paligemma-3b-896", {603, 2'927'890'160, 2'927'759'088}},
    {"paligemma2-3b-224", {727, 3'032'242'416, 3'032'094'960}},
    {"paligemma2-3b-448", {727, 3'033'127'152, 3'032'979'696}},
    {"paligemma2-3b-896", {727, 3'036'666'096, 3'036'518'640}},
    {"paligemma2-10b-224", {903, 9'662'638'832, 9'662'409'456}},
    {"paligemma2-10b-448", {903, 9'663'523'568, 9'663'294'192}},
    {"paligemma2-10b-896", {903, 9'667'062'512, 9'666'833'136}},
    {"paligemma2-28b-224", {947, 27'650'487'024, 27'650'192'112}},
    {"paligemma2-28b-448", {947, 27'651'371'760, 27'651'076'848}},
    {"paligemma2-28b-896", {947, 27'654'910'704, 27'654'615'792}}};

Config config_of(std::string_view name, Index rows = 257216) {
  auto json = nlohmann::json::parse(preset_json(name));
  json["text_config"]["vocab_size"] = rows;
  if (rows < 257216) json["image_token_index"] = rows;
  return parse_config(json.dump(), std::string(name));
}

Index product(const std::vector<Index>& shape) {
  Index count = 1;
  for (Index axis : shape) count *= axis;
  return count;
}

Index parameters_below(const Config& config, std::string_view prefix) {
  Index count = 0;
  for (const auto& [name, shape] : expected_tensors(config)) {
    if (name.starts_with(prefix)) count += product(shape);
  }
  return count;
}

TEST(Presets, AreThePublishedSizes) {
  ASSERT_EQ(preset_sizes().size(), kPublished.size());
  for (const PresetSize& size : preset_sizes()) EXPECT_EQ(kPublished.count(size.name), 1u);
}

// keras_hub 0.32.0's pali_gemma_presets.py: names, handles at Kaggle and parameters; but those of the 28B models
// above 224 pixels, where it has the number of 224.
struct InKeras {
  std::string keras, handle, hub;
  Index parameters;
};
const std::vector<InKeras> kInKeras{
    {"pali_gemma_3b_mix_224", "keras/paligemma/keras/pali_gemma_3b_mix_224/4",
     "google/paligemma-3b-mix-224", 2'923'335'408},
    {"pali_gemma_3b_mix_448", "keras/paligemma/keras/pali_gemma_3b_mix_448/4",
     "google/paligemma-3b-mix-448", 2'924'220'144},
    {"pali_gemma_3b_224", "keras/paligemma/keras/pali_gemma_3b_224/4", "google/paligemma-3b-pt-224",
     2'923'335'408},
    {"pali_gemma_3b_448", "keras/paligemma/keras/pali_gemma_3b_448/4", "google/paligemma-3b-pt-448",
     2'924'220'144},
    {"pali_gemma_3b_896", "keras/paligemma/keras/pali_gemma_3b_896/4", "google/paligemma-3b-pt-896",
     2'927'759'088},
    {"pali_gemma_2_ft_docci_3b_448", "keras/paligemma2/keras/pali_gemma_2_ft_docci_3b_448/2",
     "google/paligemma2-3b-ft-docci-448", 3'032'979'696},
    {"pali_gemma2_ft_docci_10b_448", "keras/paligemma2/keras/pali_gemma2_ft_docci_10b_448/3",
     "google/paligemma2-10b-ft-docci-448", 9'663'294'192},
    {"pali_gemma2_mix_3b_224", "keras/paligemma2/keras/pali_gemma2_mix_3b_224/2",
     "google/paligemma2-3b-mix-224", 3'032'094'960},
    {"pali_gemma2_mix_3b_448", "keras/paligemma2/keras/pali_gemma2_mix_3b_448/2",
     "google/paligemma2-3b-mix-448", 3'032'979'696},
    {"pali_gemma2_mix_10b_224", "keras/paligemma2/keras/pali_gemma2_mix_10b_224/3",
     "google/paligemma2-10b-mix-224", 9'662'409'456},
    {"pali_gemma2_mix_10b_448", "keras/paligemma2/keras/pali_gemma2_mix_10b_448/3",
     "google/paligemma2-10b-mix-448", 9'663'294'192},
    {"pali_gemma2_mix_28b_224", "keras/paligemma2/keras/pali_gemma2_28b_mix_224/3",
     "google/paligemma2-28b-mix-224", 27'650'192'112},
    {"pali_gemma2_mix_28b_448", "keras/paligemma2/keras/pali_gemma2_28b_mix_448/3",
     "google/paligemma2-28b-mix-448", 27'651'076'848},
    {"pali_gemma2_pt_3b_224", "keras/paligemma2/keras/pali_gemma2_pt_3b_224/2",
     "google/paligemma2-3b-pt-224", 3'032'094'960},
    {"pali_gemma2_pt_3b_448", "keras/paligemma2/keras/pali_gemma2_pt_3b_448/2",
     "google/paligemma2-3b-pt-448", 3'032'979'696},
    {"pali_gemma2_pt_3b_896", "keras/paligemma2/keras/pali_gemma2_pt_3b_896/2",
     "google/paligemma2-3b-pt-896", 3'036'518'640},
    {"pali_gemma2_pt_10b_224", "keras/paligemma2/keras/pali_gemma2_pt_10b_224/3",
     "google/paligemma2-10b-pt-224", 9'662'409'456},
    {"pali_gemma2_pt_10b_448", "keras/paligemma2/keras/pali_gemma2_pt_10b_448/3",
     "google/paligemma2-10b-pt-448", 9'663'294'192},
    {"pali_gemma2_pt_10b_896", "keras/paligemma2/keras/pali_gemma2_pt_10b_896/3",
     "google/paligemma2-10b-pt-896", 9'666'833'136},
    {"pali_gemma2_pt_28b_224", "keras/paligemma2/keras/pali_gemma2_pt_28b_224/4",
     "google/paligemma2-28b-pt-224", 27'650'192'112},
    {"pali_gemma2_pt_28b_448", "keras/paligemma2/keras/pali_gemma2_pt_28b_448/3",
     "google/paligemma2-28b-pt-448", 27'651'076'848},
    {"pali_gemma2_pt_28b_896", "keras/paligemma2/keras/pali_gemma2_pt_28b_896/3",
     "google/paligemma2-28b-pt-896", 27'654'615'792}};

TEST(Presets, HaveTheNamesOfTheHubAndOfKeras) {
  for (const auto& [keras, handle, hub, parameters] : kInKeras) {
    const Preset* preset = find_preset(keras);
    ASSERT_NE(preset, nullptr) << keras;
    EXPECT_EQ(preset->hub(), hub);
    EXPECT_EQ(preset->keras, keras);
    EXPECT_EQ(preset->kaggle() + "/" + std::to_string(preset->version), handle);
    EXPECT_EQ(parameter_count(config_of(keras, 257152)), parameters) << keras;
  }
  const auto in_keras = std::count_if(presets().begin(), presets().end(),
                                      [](const Preset& preset) { return !preset.keras.empty(); });
  EXPECT_EQ(static_cast<std::size_t>(in_keras), kInKeras.size());
}

TEST(Presets, AreFoundByEachOfTheirNamesAndByNoOther) {
  std::set<std::string> names;
  for (const Preset& preset : presets()) {
    std::vector<std::string> all{std::string(preset.name), preset.hub(), "hf://" + preset.hub()};
    if (!preset.keras.empty()) {
      const std::string handle = "kaggle://" + preset.kaggle();
      all.insert(all.end(), {std::string(preset.keras), handle, handle + "/1"});
    } else {
      EXPECT_EQ(preset.kaggle(), "");
    }
    for (const std::string& name : all) {
      EXPECT_EQ(find_preset(name), &preset) << name;
      EXPECT_TRUE(names.insert(name).second) << name << " is two presets'";
      EXPECT_EQ(preset_json(name), preset_json(preset.size())) << name;
    }
    EXPECT_EQ(kPublished.count(preset.size()), 1u) << preset.name;
  }
  EXPECT_EQ(find_preset("pali_gemma2_3b_ft_docci_448"), find_preset("paligemma2-3b-ft-docci-448"));
  EXPECT_EQ(find_preset("pali_gemma2_10b_ft_docci_448"),
            find_preset("paligemma2-10b-ft-docci-448"));
  for (const char* name :
       {"", "kaggle://", "hf://", "google/", "/4", "paligemma-3b-224", "google/pali_gemma_3b_224",
        "keras/paligemma/keras/pali_gemma_3b_224",
        "kaggle://keras/paligemma2/keras/pali_gemma_3b_224",
        "kaggle://keras/paligemma/keras/pali_gemma_3b_224/x", "paligemma-3b-pt-225"}) {
    EXPECT_EQ(find_preset(name), nullptr) << name;
  }
}

TEST(Presets, AreOfThreeKinds) {
  EXPECT_EQ(find_preset("paligemma-3b-pt-224")->kind(), "pt");
  EXPECT_EQ(find_preset("paligemma2-28b-mix-448")->kind(), "mix");
  EXPECT_EQ(find_preset("paligemma-3b-ft-refcoco-seg-896")->kind(), "ft");
  EXPECT_EQ(find_preset("paligemma-3b-ft-refcoco-seg-896")->size(), "paligemma-3b-896");
}

TEST(Presets, HaveNoConfigurationByAnUnknownName) {
  EXPECT_EQ(preset_json("paligemma-3b-225"), "");
  EXPECT_EQ(preset_json(""), "");
}

TEST(Presets, HaveAsManyParametersAsThePublishedFiles) {
  for (const auto& [name, published] : kPublished) {
    const Config config = config_of(name);
    EXPECT_EQ(parameter_count(config), published.parameters) << name;
    EXPECT_EQ(static_cast<Index>(expected_tensors(config).size()), published.tensors) << name;
  }
}

TEST(Presets, HaveAsManyParametersAsKerasCounts) {
  for (const auto& [name, published] : kPublished) {
    EXPECT_EQ(parameter_count(config_of(name, 257152)), published.parameters_of_keras) << name;
  }
}

TEST(Presets, AddUpFromTheirParts) {
  const std::map<Index, Index> tower{{224, 412'442'352}, {448, 413'327'088}, {896, 416'866'032}};
  const std::map<std::string_view, Index> projector{{"gemma-2b", 2'361'344},
                                                    {"gemma2-2b", 2'656'512},
                                                    {"gemma2-9b", 4'132'352},
                                                    {"gemma2-27b", 5'313'024}};
  for (const PresetSize& preset : preset_sizes()) {
    const Config config = config_of(preset.name);
    EXPECT_EQ(parameters_below(config, "vision_tower."), tower.at(preset.image_size));
    EXPECT_EQ(parameters_below(config, "multi_modal_projector."), projector.at(preset.text));
  }
}

// docs/paligemma/presets.md has the sums. A block of 256 numbers is 260 bytes or 140.
TEST(Presets, TakeTheseBytes) {
  const Config config = config_of("paligemma-3b-224");
  EXPECT_EQ(weight_bytes(config, WeightFormat::f32), 11'693'865'920);
  EXPECT_EQ(weight_bytes(config, WeightFormat::bf16), 5'846'932'960);
  EXPECT_EQ(weight_bytes(config, WeightFormat::f16), 5'846'932'960);
  EXPECT_EQ(weight_bytes(config, WeightFormat::int8_blocks), 3'377'542'624);
  EXPECT_EQ(weight_bytes(config, WeightFormat::int4_blocks), 2'201'642'464);
}

TEST(Presets, SayHowManyTokensAPictureIs) {
  for (const PresetSize& preset : preset_sizes()) {
    const Config config = config_of(preset.name);
    const Index side = preset.image_size / 14;
    EXPECT_EQ(config.vision.patches(), side * side) << preset.name;
    EXPECT_EQ(config.vision.width / config.vision.heads, 72);
  }
}

TEST(Presets, DifferWhereTheGenerationsDiffer) {
  for (const PresetSize& preset : preset_sizes()) {
    const Config config = config_of(preset.name);
    const bool two = preset.name.starts_with("paligemma2");
    EXPECT_EQ(config.architecture, two ? "paligemma2" : "paligemma");
    EXPECT_EQ(config.text.attention_soft_cap, two ? 50.0f : kNoSoftCap);
    EXPECT_EQ(config.text.final_soft_cap, two ? 30.0f : kNoSoftCap);
    EXPECT_EQ(config.text.window[0], two ? 4096 : kNoWindow);
    EXPECT_EQ(config.text.window[1], kNoWindow);
    EXPECT_EQ(config.end_tokens, std::set<TokenId>{1});
  }
}

// 4608 / 32 is 144, though its heads have 128 numbers.
TEST(Presets, OnlyTheLargestScalesItsQueriesByAnotherRoot) {
  for (const PresetSize& preset : preset_sizes()) {
    const auto text = config_of(preset.name).text;
    EXPECT_EQ(text.query_scale, preset.text == "gemma2-27b" ? 1.0f / 12 : 1.0f / 16);
    EXPECT_EQ(text.head_size, preset.text == "gemma2-27b" ? 128 : 256);
  }
}

// A file of the published size, of which only the header takes room: offsets of 64 bits, tensors
// above 2 GiB. PaliGemma 1 was published in float32, PaliGemma 2 in bfloat16.
TEST(Presets, AreReadBackFromFilesOfFullSize) {
  const TemporaryFolder folder;
  for (const auto& [name, published] : kPublished) {
    const Config config = config_of(name);
    const bool two = config.architecture == "paligemma2";
    SafetensorsWriter writer;
    for (const auto& [tensor, shape] : expected_tensors(config)) {
      if (two) {
        writer.add_zeros<bf16>(tensor, shape);
      } else {
        writer.add_zeros<float>(tensor, shape);
      }
    }
    try {
      writer.write(folder / "model.safetensors");
    } catch (const std::filesystem::filesystem_error& error) {
      GTEST_SKIP() << "no room for a sparse file of " << name << ": " << error.what();
    }

    Checkpoint checkpoint(folder.path(), config);
    EXPECT_EQ(checkpoint.tensor_count(), published.tensors) << name;
    EXPECT_EQ(checkpoint.format(), two ? WeightFormat::bf16 : WeightFormat::f32) << name;
    Index parameters = 0;
    for (const auto& [tensor, entry] : checkpoint.tensors()) parameters += entry.count();
    EXPECT_EQ(parameters, published.parameters) << name;
    if (two) {
      const auto& table = checkpoint.weights<bf16>(config).text.embedding;
      EXPECT_EQ(table.shape(), (std::array<Index, 2>{257216, config.text.width})) << name;
      EXPECT_EQ(table(257215, config.text.width - 1).bits, 0) << name;
    }
  }
}

}  // namespace
}  // namespace paligemma
