#include "paligemma/adapter_config.h"

#include <gtest/gtest.h>

#include "tensor/errors.h"
#include "tests/support/error_text.h"
#include "tests/support/run_program.h"

namespace paligemma {
namespace {

using namespace test;

class AdapterConfigOf : public ::testing::Test {
 protected:
  AdapterConfig read(const std::string& fields) const {
    write_text(path_, R"({"peft_type": "LORA")" + (fields.empty() ? "" : ", " + fields) + "}");
    return read_adapter_config(path_);
  }
  double scale(const std::string& fields, Index rank = 2) const {
    return read(fields).scale({"model.language_model.layers.0.self_attn.q_proj"}, rank);
  }
  std::string refusal(const std::string& fields) const {
    return error_text<ModelFileError>([&] { scale(fields); });
  }

  TemporaryFolder folder_;
  const std::filesystem::path path_ = folder_ / "adapter_config.json";
};

TEST_F(AdapterConfigOf, PeftsScaleIsAlphaOverRank) {
  EXPECT_EQ(scale("", 4), 2);  // its default is 8
  EXPECT_EQ(scale(R"("lora_alpha": 16.5, "r": 99)", 8), 2.0625);
  EXPECT_EQ(scale(R"("lora_alpha": 16, "use_rslora": true)", 4), 8);
}

// The first key, in the file's order, that a name ends with.
TEST_F(AdapterConfigOf, TheFirstPatternCounts) {
  const auto by = [&](const std::string& patterns) {
    return scale(R"("lora_alpha": 2, "alpha_pattern": )" + patterns);
  };
  EXPECT_EQ(by("{}"), 1);
  EXPECT_EQ(by(R"({"q_proj": 4})"), 2);
  EXPECT_EQ(by(R"({"self_attn.q_proj": 6, "q_proj": 4})"), 3);
  EXPECT_EQ(by(R"({"q_proj": 4, "self_attn.q_proj": 6})"), 2);
  EXPECT_EQ(by(R"({"layers\\.[0-2]\\..*_proj": 8})"), 4);
  for (const char* key : {"proj", "layers.0", "attn.q_proj", "v_proj"}) {
    EXPECT_EQ(by(std::string("{\"") + key + "\": 4}"), 1) << key;
  }
}

// One that Python's would search for years: (a+)+[bc] of a name of many a.
TEST_F(AdapterConfigOf, NoPatternIsSearchedForever) {
  EXPECT_TRUE(holds(refusal(R"("alpha_pattern": {"(": 4})"), "adapter_config.json",
                    "alpha_pattern: (", "regular expression"));
  const AdapterConfig config = read(R"("alpha_pattern": {"(a+)+[bc]": 4})");
  EXPECT_TRUE(holds(error_text<ModelFileError>([&] { config.scale({std::string(200, 'a')}, 1); }),
                    "alpha_pattern: (a+)+", "limit"));
}

TEST_F(AdapterConfigOf, FieldsOfNoAccountAreLetThrough) {
  EXPECT_NO_THROW(read(R"("from_next_year": {"a": 1}, "kasa_config": null, "use_qalora": false,
                          "layer_replication": [], "target_modules": "all-linear")"));
}

TEST_F(AdapterConfigOf, WhatIsNotSupportedIsNamed) {
  for (const char* field : {R"("use_qalora": true)", R"("layer_replication": [[0, 1]])",
                            R"("alora_invocation_tokens": [5])", R"("use_bdlora": true)",
                            R"("kasa_config": {"a": 1})", R"("monteclora_config": {"a": 1})"}) {
    const std::string name(field, 1, std::string(field).find('"', 1) - 1);
    EXPECT_TRUE(holds(refusal(field), "adapter_config.json", name, "not supported"));
  }
  EXPECT_TRUE(holds(refusal(R"("use_dora": true, "lora_bias": true)"), "lora_bias", "use_dora"));
  write_text(path_, R"({"peft_type": "LOHA"})");
  EXPECT_TRUE(holds(error_text<ModelFileError>([&] { read_adapter_config(path_); }), "LOHA"));
}

TEST_F(AdapterConfigOf, TokensAreAListOrOfOneModule) {
  using Ids = std::vector<Index>;
  EXPECT_EQ(read("").token_indices, Ids());
  EXPECT_EQ(read(R"("trainable_token_indices": [9, 5, 7])").token_indices, (Ids{9, 5, 7}));
  EXPECT_EQ(read(R"("trainable_token_indices": {"embed_tokens": [9, 5]})").token_indices,
            (Ids{9, 5}));
  EXPECT_TRUE(holds(refusal(R"("trainable_token_indices": {"a": [1], "b": [2]})"),
                    "trainable_token_indices"));
}

}  // namespace
}  // namespace paligemma
