#include "paligemma/adapter.h"

#include <fstream>

#include "tensor/errors.h"
#include "tests/support/adapter_golden.h"
#include "tests/support/checkpoint_files.h"
#include "tests/support/error_text.h"

namespace paligemma {
namespace {

using namespace test;
using nlohmann::json;

TEST(Adapter, SaysWhatTransformersSays) {
  expect_adapters_speak<Reference>([] { return reference; });
}

// docs/paligemma/adapter.md, "By hand": rank 2, alpha 4.
TEST(Adapter, WorkedExample) {
  const AdapterGolden golden(1);
  const Config config = read_config(golden.model);
  const Checkpoint base(golden.model, config);
  const Adapter adapter(golden.folder / "language", base, config);
  EXPECT_EQ(adapter.layers().size(),
            27u);  // 7 in each of 3 blocks, and q, k, v of two of the vision tower
  EXPECT_TRUE(adapter.tensors().empty());
  const auto& q = adapter.layers().at("language_model.model.layers.0.self_attn.q_proj");
  EXPECT_EQ(q.a.shape(), (std::array<Index, 2>{2, 40}));
  EXPECT_EQ(q.b.shape(), (std::array<Index, 2>{2, 48}));
  const auto tensors = read_tensors(golden.folder / "language/adapter_model.safetensors");
  const std::string name =
      "base_model.model.model.language_model.layers.0.self_attn.q_proj.lora_B.weight";
  float first = 0;
  std::memcpy(&first, tensors.at(name).bytes.data(), sizeof first);
  EXPECT_EQ(q.b(0, 0), 2 * first);  // alpha / r
}

TEST(Adapter, TwoOfOneBaseSpeakSideBySide) {
  const AdapterGolden golden(1);
  const auto with = [&](const char* name) {
    return Pipeline<Reference>(reference, {.model = golden.model, .adapter = golden.folder / name});
  };
  const Pipeline<Reference> one = with("dora"), other = with("head"),
                            none(reference, {.model = golden.model});
  EXPECT_EQ(golden.said(one), golden.answers.at("dora"));
  EXPECT_EQ(golden.said(other), golden.answers.at("head"));
  EXPECT_EQ(golden.said(one), golden.answers.at("dora"));
  EXPECT_EQ(golden.said(none), golden.without);
}

// Its float matrices stand beside blocks; which token is said may hang on the blocks' rounding, not whether
// there is an adapter.
TEST(Adapter, ChangesAQuantisedModel) {
  const AdapterGolden golden(1);
  const PipelineOptions base{.model = golden.model, .dtype = WeightFormat::int8_blocks};
  PipelineOptions adapted = base;
  adapted.adapter = golden.folder / "embedding";
  const auto here = golden.said(Pipeline<Reference>(reference, adapted));
  EXPECT_EQ(here[0], golden.answers.at("embedding")[0]);
  EXPECT_NE(here[0], golden.said(Pipeline<Reference>(reference, base))[0]);
}

class AdapterFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    tensors_ = read_tensors(golden_.folder / "language/adapter_model.safetensors");
    config_ = json::parse(std::ifstream(golden_.folder / "language/adapter_config.json"));
  }
  void write() const {
    write_tensors(folder_ / "adapter_model.safetensors", tensors_);
    write_text(folder_ / "adapter_config.json", config_.dump());
  }
  const Adapter& read() {
    write();
    const Config config = read_config(golden_.model);
    adapter_.emplace(folder_.path(), base_.emplace(golden_.model, config), config);
    return *adapter_;
  }
  std::string refusal() {
    return error_text<ModelFileError>([&] { read(); });
  }
  StoredTensor& tensor(const std::string& part) { return tensors_.at(kQ + part); }

  static inline const std::string kLayer = "language_model.model.layers.0.self_attn.q_proj";
  static inline const std::string kQ =
      "base_model.model.model.language_model.layers.0.self_attn.q_proj.";
  const AdapterGolden golden_{1};
  const TemporaryFolder folder_;
  StoredTensors tensors_;
  json config_;
  std::optional<Checkpoint> base_;
  std::optional<Adapter> adapter_;
};

TEST_F(AdapterFiles, MayHaveTheAdaptersOwnNameInTheirs) {
  StoredTensors named;
  for (const auto& [name, tensor] : tensors_) {
    named[name.substr(0, name.rfind('.')) + ".default.weight"] = tensor;
  }
  tensors_ = named;
  EXPECT_EQ(read().layers().size(), 27u);
}

TEST_F(AdapterFiles, MayHoldFieldsAndTensorsOfNoAccount) {
  config_["from_next_year"] = {{"a", 1}};
  config_["velora_config"] = nullptr;
  const auto base = read_tensors(kGolden + "/model.safetensors");
  tensors_["base_model.model.lm_head.base_layer.weight"] =
      base.at("language_model.model.embed_tokens.weight");
  tensors_["base_model.model.model.vision_tower.head.mlp.fc1.lora_A.weight"] =
      tensor("lora_A.weight");  // of a pooling head, which PaliGemma does not use
  EXPECT_TRUE(read().tensors().empty());
  EXPECT_EQ(read().layers().size(), 27u);
}

TEST_F(AdapterFiles, MayBeNamedByTheirFiles) {
  write();
  const Config config = read_config(golden_.model);
  const Checkpoint base(golden_.model, config);
  for (const char* file : {"adapter_config.json", "adapter_model.safetensors"}) {
    EXPECT_EQ(Adapter(folder_ / file, base, config).layers().size(), 27u);
  }
  EXPECT_THROW(Adapter(folder_ / "elsewhere", base, config), NotFoundError);
}

TEST_F(AdapterFiles, OfPyTorchAreRefused) {
  write_text(folder_ / "adapter_model.bin", "");
  const Config config = read_config(golden_.model);
  EXPECT_TRUE(holds(error_text<ModelFileError>([&] {
                      Adapter(folder_.path(), Checkpoint(golden_.model, config), config);
                    }),
                    "adapter_model.bin", "safe_serialization"));
}

TEST_F(AdapterFiles, MustFitTheModel) {
  tensors_["base_model.model.model.language_model.layers.9.self_attn.q_proj.lora_A.weight"] =
      tensor("lora_A.weight");
  EXPECT_TRUE(holds(refusal(), "layers.9.self_attn.q_proj", "no layer"));
}

TEST_F(AdapterFiles, MustHaveTheShapesOfTheLayer) {
  tensor("lora_A.weight").shape = {4, 20};
  EXPECT_TRUE(holds(refusal(), kLayer, "A is [4, 20]", "[4, 40]"));
  tensor("lora_A.weight").shape = {2, 40};
  tensor("lora_B.weight").shape = {2, 48};
  EXPECT_TRUE(holds(refusal(), kLayer, "B is [2, 48]", "[48, 2]"));
}

TEST_F(AdapterFiles, MustHaveBothHalves) {
  tensors_.erase(kQ + "lora_B.weight");
  EXPECT_TRUE(holds(refusal(), kLayer, "B is missing"));
  tensors_.erase(kQ + "lora_A.weight");
  tensors_[kQ + "lora_B.weight"] = {"F32", {48, 2}, std::string(48 * 2 * 4, '\0')};
  EXPECT_TRUE(holds(refusal(), kLayer, "A is missing"));
}

TEST_F(AdapterFiles, MustHaveMagnitudesIfTheyAreDoras) {
  config_["use_dora"] = true;
  EXPECT_TRUE(holds(refusal(), "magnitudes are not"));
  config_["use_dora"] = false;
  tensors_[kQ + "lora_magnitude_vector"] = {"F32", {48}, std::string(48 * 4, '\0')};
  EXPECT_TRUE(holds(refusal(), kLayer, "use_dora"));
}

TEST_F(AdapterFiles, MustBeFinite) {
  const float nan = NAN;
  std::memcpy(tensor("lora_B.weight").bytes.data(), &nan, sizeof nan);
  EXPECT_TRUE(holds(refusal(), kLayer, "NaN"));
}

TEST_F(AdapterFiles, MustNotChangeATableAsALayer) {
  tensors_["base_model.model.model.language_model.embed_tokens.lora_A.weight"] =
      tensor("lora_A.weight");
  tensors_["base_model.model.model.language_model.embed_tokens.lora_B.weight"] =
      tensor("lora_B.weight");
  EXPECT_TRUE(holds(refusal(), "embed_tokens", "an embedding"));
}

TEST_F(AdapterFiles, MustReplaceTensorsByOnesOfTheirShape) {
  const std::string name = "base_model.model.model.multi_modal_projector.linear.bias";
  tensors_[name] = {"F32", {39}, std::string(39 * 4, '\0')};
  EXPECT_TRUE(holds(refusal(), name, "[39]", "[40]"));
  tensors_.erase(name);
  tensors_["base_model.model.model.multi_modal_projector.other"] = {
      "F32", {1}, std::string(4, '\0')};
  EXPECT_TRUE(holds(refusal(), "projector.other", "fits nothing"));
}

// The head stays as it was, although it is the same table in the model.
TEST_F(AdapterFiles, ASavedEmbeddingIsNotTheHead) {
  const std::string embedding = "language_model.model.embed_tokens.weight";
  StoredTensor table = read_tensors(kGolden + "/model.safetensors").at(embedding);
  const std::string before = table.bytes;
  table.bytes[3] = static_cast<char>(table.bytes[3] ^ 1);
  tensors_["base_model.model.model.language_model.embed_tokens.weight"] = table;
  const auto& replaced = read().tensors();
  const auto bytes_of = [&](const std::string& name) {
    const auto bytes = replaced.at(name).bytes;
    return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  };
  EXPECT_EQ(bytes_of(embedding), table.bytes);
  EXPECT_EQ(bytes_of("lm_head.weight"), before);
}

TEST_F(AdapterFiles, MustNameTokensThatThereAre) {
  tensors_
      ["base_model.model.model.language_model.embed_tokens.token_adapter.trainable_tokens_delta"] =
          {"F32", {2, 40}, std::string(2 * 40 * 4, '\0')};
  config_["trainable_token_indices"] = {5, 1856};
  EXPECT_TRUE(holds(refusal(), "token 1856"));
  config_["trainable_token_indices"] = {5};
  EXPECT_TRUE(holds(refusal(), "trainable_tokens_delta is [2, 40]", "[1, 40]"));
}

}  // namespace
}  // namespace paligemma
