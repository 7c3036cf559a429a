#include "paligemma/merge.h"

#include "paligemma/adapter.h"
#include "paligemma/quantize.h"
#include "tensor/errors.h"
#include "tests/support/adapter_golden.h"
#include "tests/support/checkpoint_files.h"
#include "tests/support/error_text.h"

namespace paligemma {
namespace {

using namespace test;

class Merge : public ::testing::Test {
 protected:
  std::filesystem::path adapter(const char* name) const { return golden_.folder / name; }
  bool merge(const char* name) const {
    std::filesystem::remove_all(out_);
    return merge_adapter(golden_.model, adapter(name), out_);
  }

  const AdapterGolden golden_{1};
  const TemporaryFolder folder_;
  const std::filesystem::path out_ = folder_ / "out";
};

// docs/paligemma/merge.md, "By hand": a weight is what it was, and its row of B times its column of A.
TEST_F(Merge, WorkedExample) {
  EXPECT_FALSE(merge("language"));
  const std::string layer = "language_model.model.layers.0.self_attn.q_proj";
  const Config config = read_config(golden_.model);
  const Checkpoint base(golden_.model, config), merged(out_, config);
  const Adapter change(adapter("language"), base, config);
  const auto& [a, b, magnitude, bias] = change.layers().at(layer);
  const auto before = all_as_floats(base.tensors().at(layer + ".weight"));
  const auto after = all_as_floats(merged.tensors().at(layer + ".weight"));
  const float expected = before[3 * 40 + 7] + b(0, 3) * a(0, 7) + b(1, 3) * a(1, 7);
  EXPECT_FLOAT_EQ(after[3 * 40 + 7], expected);
}

// Of every kind that a layer has, and where head and embedding become two.
TEST_F(Merge, SaysWhatTheAdapterSays) {
  for (const auto& [name, ids] : golden_.answers) {
    const bool splits = merge(name.c_str());
    EXPECT_EQ(splits, name == "embedding" || name == "embedding_dora" || name == "head") << name;
    EXPECT_EQ(golden_.said(Pipeline<Reference>(reference, {.model = out_})), ids) << name;
    const auto config = nlohmann::json::parse(read_bytes(out_ / "config.json"));
    EXPECT_EQ(config.value("tie_word_embeddings", true), !splits) << name;
  }
}

TEST_F(Merge, KeepsTheFormatAndTheFilesOfTheModel) {
  merge_adapter(kGolden2, kGolden2 + "/adapters/dora", out_);
  const Config config = read_config(out_);
  const Checkpoint before(kGolden2, config), after(out_, config);
  EXPECT_EQ(after.format(), WeightFormat::bf16);
  ASSERT_EQ(before.tensors().size(), after.tensors().size());
  for (const auto& [name, entry] : after.tensors()) {
    EXPECT_EQ(entry.format, before.tensors().at(name).format) << name;
  }
  for (const char* file :
       {"config.json", "generation_config.json", "preprocessor_config.json", "tokenizer.model"}) {
    EXPECT_EQ(read_bytes(out_ / file), read_bytes(kGolden2 + "/" + file)) << file;
  }
}

TEST_F(Merge, HasNoPlaceForABiasWhereThereIsNone) {
  auto tensors = read_tensors(adapter("language") / "adapter_model.safetensors");
  tensors["base_model.model.model.language_model.layers.0.self_attn.q_proj.lora_B.bias"] = {
      "F32", {48}, std::string(48 * 4, '\0')};
  std::filesystem::copy_file(adapter("language") / "adapter_config.json",
                             folder_ / "adapter_config.json");
  write_tensors(folder_ / "adapter_model.safetensors", tensors);
  EXPECT_TRUE(
      holds(error_text<ModelFileError>([&] { merge_adapter(golden_.model, folder_.path(), out_); }),
            "layers.0.self_attn.q_proj", "bias"));
  EXPECT_FALSE(std::filesystem::exists(out_));
}

TEST_F(Merge, IsNotForQuantisedWeights) {
  const auto small = folder_ / "small";
  quantize_checkpoint(golden_.model, WeightFormat::int8_blocks, small);
  EXPECT_TRUE(
      holds(error_text<ModelFileError>([&] { merge_adapter(small, adapter("language"), out_); }),
            small.string(), "quantised"));
}

TEST_F(Merge, NeverOverwritesAModel) {
  merge("language");
  EXPECT_TRUE(holds(error_text<std::runtime_error>(
                        [&] { merge_adapter(golden_.model, adapter("language"), out_); }),
                    "there is a model already"));
}

}  // namespace
}  // namespace paligemma
