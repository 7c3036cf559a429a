#include "paligemma/presets.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

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
  ASSERT_EQ(presets().size(), kPublished.size());
  for (const Preset& preset : presets()) EXPECT_EQ(kPublished.count(preset.name), 1u);
}

TEST(Presets, RefuseAnUnknownName) {
  EXPECT_THROW(preset_json("paligemma-3b-225"), ContractError);
  EXPECT_THROW(preset_json(""), ContractError);
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
  for (const Preset& preset : presets()) {
    const Config config = config_of(preset.name);
    EXPECT_EQ(parameters_below(config, "vision_tower."), tower.at(preset.image_size));
    EXPECT_EQ(parameters_below(config, "multi_modal_projector."), projector.at(preset.text));
  }
}

TEST(Presets, SayHowManyTokensAPictureIs) {
  for (const Preset& preset : presets()) {
    const Config config = config_of(preset.name);
    const Index side = preset.image_size / 14;
    EXPECT_EQ(config.vision.patches(), side * side) << preset.name;
    EXPECT_EQ(config.vision.width / config.vision.heads, 72);
  }
}

TEST(Presets, DifferWhereTheGenerationsDiffer) {
  for (const Preset& preset : presets()) {
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
  for (const Preset& preset : presets()) {
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
