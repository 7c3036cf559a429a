#include "paligemma/keras_preset.h"

#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "paligemma/checkpoint.h"
#include "paligemma/stored_order_copy.h"
#include "tensor/errors.h"
#include "tests/support/error_text.h"
#include "tests/support/keras_golden.h"
#include "tests/support/run_program.h"
#include "tests/support/temporary_folder.h"

namespace paligemma {
namespace {

using namespace test;
using nlohmann::json;
namespace fs = std::filesystem;

const fs::path kPreset = keras_folder() / "float32";

Config published() { return read_config(kPreset); }

KerasTensor tensor_of(const std::string& name, const std::vector<Index>& shape) {
  return keras_tensor({name, shape}, published());
}

// In our order, numbers 0, 1, 2, ... of a file.
std::vector<int> in_our_order(const StoredOrder& order) {
  const auto [A, B, C] = order.sizes;
  std::vector<float> stored(static_cast<std::size_t>(A * B * C)), ours(stored.size());
  for (std::size_t i = 0; i < stored.size(); ++i) stored[i] = static_cast<float>(i);
  copy_numbers<float>(reinterpret_cast<const std::byte*>(stored.data()), order, ours.data());
  return {ours.begin(), ours.end()};
}

// docs/paligemma/keras_preset.md, "By hand".
TEST(KerasPreset, WorkedExample) {
  Config config = published();
  config.text.head_size = 2;
  const KerasTensor query =
      keras_tensor({"language_model.model.layers.1.self_attn.q_proj.weight", {4, 3}}, config);
  EXPECT_EQ(query.path, "layers/pali_gemma_decoder_block_1/attention/query_dense/vars/0");
  EXPECT_EQ(query.shape, (std::vector<Index>{2, 3, 2}));
  EXPECT_EQ(in_our_order(*query.order), (std::vector{0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11}));
}

TEST(KerasPreset, TurnsKernels) {
  const KerasTensor gate = tensor_of("language_model.model.layers.0.mlp.gate_proj.weight", {2, 3});
  EXPECT_EQ(gate.path, "layers/pali_gemma_decoder_block/gating_ffw/vars/0");
  EXPECT_EQ(gate.shape, (std::vector<Index>{3, 2}));
  EXPECT_EQ(in_our_order(*gate.order), (std::vector{0, 2, 4, 1, 3, 5}));
}

TEST(KerasPreset, JoinsTheHeadsOfTheOutput) {
  const KerasTensor out =
      tensor_of("language_model.model.layers.0.self_attn.o_proj.weight", {2, 12});
  EXPECT_EQ(out.shape, (std::vector<Index>{2, 6, 2}));
  EXPECT_EQ(in_our_order(*out.order)[1], 2);
}

TEST(KerasPreset, PutsTheColoursOfPatchesFirst) {
  const KerasTensor patch =
      tensor_of("vision_tower.embeddings.patch_embedding.weight", {2, 3, 2, 2});
  EXPECT_EQ(patch.shape, (std::vector<Index>{2, 2, 3, 2}));
  EXPECT_EQ(in_our_order(*patch.order), (std::vector{0, 6, 12, 18, 2, 8, 14, 20, 4, 10, 16, 22,  //
                                                     1, 7, 13, 19, 3, 9, 15, 21, 5, 11, 17, 23}));
}

TEST(KerasPreset, LeavesTablesAndVectorsAsTheyLie) {
  for (const auto& [name, shape] :
       {std::pair("language_model.model.embed_tokens.weight", std::vector<Index>{9, 4}),
        std::pair("vision_tower.embeddings.position_embedding.weight", std::vector<Index>{9, 4}),
        std::pair("vision_tower.encoder.layers.1.mlp.fc1.bias", std::vector<Index>{9}),
        std::pair("language_model.model.norm.weight", std::vector<Index>{9})}) {
    const KerasTensor found = tensor_of(name, shape);
    EXPECT_FALSE(found.order.has_value()) << name;
    EXPECT_EQ(found.shape, shape) << name;
  }
}

// Gemma 1 calls the norm before the MLP what Gemma 2 calls the norm after attention.
TEST(KerasPreset, KnowsBothMeaningsOfTheNormAfterAttention) {
  const ExpectedTensor norm{"language_model.model.layers.0.post_attention_layernorm.weight", {9}};
  const std::string block = "layers/pali_gemma_decoder_block/";
  Config config = published();
  EXPECT_EQ(keras_tensor(norm, config).path, block + "pre_ffw_norm/vars/0");
  config.text.norms = gemma::Norms::pre_and_post;
  EXPECT_EQ(keras_tensor(norm, config).path, block + "post_attention_norm/vars/0");
}

json config_json() { return json::parse(read_bytes(kPreset / "config.json")); }

// A copy of a preset, to be damaged.
class KerasFolder : public ::testing::Test {
 protected:
  KerasFolder() { copy("float32"); }

  void copy(const std::string& name) {
    fs::remove_all(folder_ / "m");
    fs::copy(keras_folder() / name, folder_ / "m", fs::copy_options::recursive);
  }
  std::string refusal(const fs::path& path) const {
    return error_text<ModelFileError>(
        [&] { Checkpoint(path, read_config(checkpoint_folder(path))); });
  }
  std::string refusal() const { return refusal(folder_ / "m"); }
  void change(const std::string& name, const json& value) const {
    json object = config_json();
    object["config"][name] = value;
    write_text(folder_ / "m/config.json", object.dump());
  }
  json index() const { return json::parse(read_bytes(folder_ / "m/model.weights.json")); }
  void write_index(const json& index) const {
    write_text(folder_ / "m/model.weights.json", index.dump());
  }

  TemporaryFolder folder_;
};

TEST_F(KerasFolder, MayBeGivenByAnyOfItsFiles) {
  for (const char* file : {"config.json", "model.weights.h5"}) {
    EXPECT_EQ(Checkpoint(folder_ / "m" / file, published()).tensor_count(), 59) << file;
  }
  copy("shards");
  const Config config = read_config(folder_ / "m");
  for (const char* file : {"", "config.json", "model.weights.json", "model_00001.weights.h5"}) {
    const Checkpoint checkpoint(folder_ / "m" / file, config);
    EXPECT_EQ(checkpoint.tensor_count(), 43) << file;
    EXPECT_EQ(checkpoint.format(), WeightFormat::f16) << file;
  }
}

TEST_F(KerasFolder, MustHoldEveryTensorAndNoOther) {
  change("num_layers", 3);
  EXPECT_TRUE(holds(refusal(), "pali_gemma_decoder_block_2/", "is missing"));
  change("num_layers", 1);
  EXPECT_TRUE(holds(refusal(), "pali_gemma_decoder_block_1/", "is not part of this model"));
}

TEST_F(KerasFolder, MustHaveTheShapesThatFollow) {
  change("head_dim", 8);
  EXPECT_TRUE(holds(refusal(), "attention/", "is [3, 10, 6], config.json makes it [3, 10, 8]"));
}

TEST_F(KerasFolder, MustHoldFloats) {
  const std::string integers("\x10\x08\0\0\4", 5), floats("\x11\x20\x1f\0\4", 5);
  std::string bytes = read_bytes(folder_ / "m/model.weights.h5");
  for (std::size_t at = bytes.find(floats); at != bytes.npos; at = bytes.find(floats, at)) {
    bytes.replace(at, integers.size(), integers);
  }
  write_text(folder_ / "m/model.weights.h5", bytes);
  EXPECT_TRUE(holds(refusal(), "is i32, weights are f32, bf16 or f16"));
}

TEST_F(KerasFolder, OfOtherThingsIsRefusedByName) {
  for (const auto& [file, word] :
       {std::pair("int8.weights.h5", "int8"), std::pair("own.lora.h5", "LoRA")}) {
    fs::copy_file(keras_folder() / "refused" / file, folder_ / "m/model.weights.h5",
                  fs::copy_options::overwrite_existing);
    EXPECT_TRUE(holds(refusal(), word)) << file;
  }
}

TEST_F(KerasFolder, MustNotLeadOutOfItself) {
  copy("shards");
  const std::string layer = "/layers/rms_normalization/vars";
  for (const char* name : {"../a.weights.h5", "/etc/passwd", "", ".."}) {
    for (const json& value : {json(name), json{"model_00000.weights.h5", name}}) {
      json object = index();
      object["weight_map"][layer] = value;
      write_index(object);
      EXPECT_TRUE(holds(refusal(), "model.weights.json", layer, "is not a file name")) << value;
    }
  }
}

TEST_F(KerasFolder, MustHaveEveryShardOnce) {
  copy("shards");
  fs::copy_file(folder_ / "m/model_00001.weights.h5", folder_ / "m/model_00002.weights.h5");
  json object = index();
  object["weight_map"]["/layers/rms_normalization/vars"] = {"model_00001.weights.h5",
                                                            "model_00002.weights.h5"};
  write_index(object);
  EXPECT_TRUE(holds(refusal(), "model_00002.weights.h5", "is there twice"));
  fs::remove(folder_ / "m/model_00002.weights.h5");
  EXPECT_TRUE(holds(refusal(), "model_00002.weights.h5, which is not there"));
  object["weight_map"] = json::object();
  write_index(object);
  EXPECT_TRUE(holds(refusal(), "model.weights.json", "is empty"));
}

// Blocks of 8 bits are made of numbers in our order, as they are of a copy in that order.
TEST_F(KerasFolder, IsQuantisedAsTheSameModelInOurLayout) {
  const Config config = published();
  Checkpoint checkpoint(kPreset, config);
  const std::string name = "language_model.model.layers.1.self_attn.q_proj.weight";
  const std::vector<Index> shape{18, 10};
  const auto numbers = checkpoint.matrix<float>(name, shape);
  const auto blocks = checkpoint.blocks<Int8Block>(name, shape);
  for (Index o = 0; o < shape[0]; ++o) {
    const Int8Block expected = quantize<Int8Block>(numbers.row(o).data(), shape[1]);
    EXPECT_EQ(std::memcmp(&blocks(o, 0), &expected, sizeof expected), 0) << "row " << o;
  }
}

// Only what lies otherwise is copied, and all of the bytes are told of.
TEST_F(KerasFolder, LoadsWhatLiesAsOursInPlace) {
  const Config config = published();
  Checkpoint checkpoint(kPreset, config);
  std::size_t told = 0, all = 0;
  const LoadListener listener = [&](std::size_t done, std::size_t of) {
    EXPECT_GE(done, told);
    told = done;
    all = of;
  };
  checkpoint.touch(listener);
  const auto weights = checkpoint.weights<float>(config, listener);
  EXPECT_EQ(told, all);
  const auto is_mapped = [&](const void* numbers, const std::string& name) {
    return numbers == checkpoint.tensors().at(name).bytes.data();
  };
  EXPECT_TRUE(is_mapped(weights.text.embedding.data(), "language_model.model.embed_tokens.weight"));
  EXPECT_TRUE(is_mapped(weights.text.final_norm.data(), "language_model.model.norm.weight"));
  EXPECT_FALSE(is_mapped(weights.projector.weight.data(), "multi_modal_projector.linear.weight"));
}

}  // namespace
}  // namespace paligemma
