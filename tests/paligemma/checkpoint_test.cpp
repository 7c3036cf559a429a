#include "paligemma/checkpoint.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>

#include "tensor/errors.h"
#include "tests/support/data.h"
#include "tests/support/error_text.h"
#include "tests/support/safetensors_writer.h"
#include "tests/support/temporary_folder.h"

namespace paligemma {
namespace {

using namespace test;
using nlohmann::json;

const std::string kEmbedding = "language_model.model.embed_tokens.weight";
const std::string kHead = "lm_head.weight";
const std::string kNorm = "language_model.model.norm.weight";

Config tiny(bool gemma2 = false, bool tied = true) {
  json object = {{"model_type", "paligemma"},
                 {"image_token_index", 11},
                 {"tie_word_embeddings", tied},
                 {"text_config",
                  {{"model_type", gemma2 ? "gemma2" : "gemma"},
                   {"vocab_size", 11},
                   {"hidden_size", 4},
                   {"intermediate_size", 7},
                   {"num_hidden_layers", 1},
                   {"num_attention_heads", 2},
                   {"num_key_value_heads", 1},
                   {"head_dim", 2},
                   {"query_pre_attn_scalar", 2}}},
                 {"vision_config",
                  {{"image_size", 4},
                   {"patch_size", 2},
                   {"hidden_size", 6},
                   {"intermediate_size", 5},
                   {"num_hidden_layers", 1},
                   {"num_attention_heads", 2}}}};
  return parse_config(object.dump(), "tiny");
}

using Numbers = std::vector<float>;
struct Stored {
  std::vector<Index> shape;
  Numbers numbers;
};
using Tensors = std::map<std::string, Stored>;

Stored random_tensor(const std::vector<Index>& shape, unsigned seed) {
  Index count = 1;
  for (Index axis : shape) count *= axis;
  const auto numbers = random<float, 1>({count}, seed);
  return {shape, Numbers(numbers.view().data(), numbers.view().data() + count)};
}

Tensors tensors_of(const Config& config) {
  Tensors tensors;
  for (const auto& [name, shape] : expected_tensors(config)) {
    tensors[name] = random_tensor(shape, static_cast<unsigned>(tensors.size()));
  }
  return tensors;
}

SafetensorsWriter writer_of(const Tensors& tensors) {
  SafetensorsWriter writer;
  for (const auto& [name, tensor] : tensors) writer.add<float>(name, tensor.shape, tensor.numbers);
  return writer;
}

template <class Real, int Rank>
Numbers numbers_of(View<const Real, Rank> view) {
  Numbers numbers;
  for (Index i = 0; i < view.count(); ++i) numbers.push_back(widen(view.data()[i]));
  return numbers;
}

class CheckpointFiles : public ::testing::Test {
 protected:
  void write(const Tensors& tensors, std::string_view name = "model.safetensors") {
    writer_of(tensors).write(folder_ / name);
  }
  void write_index(const json& index) {
    write_text(folder_ / "model.safetensors.index.json", index.dump());
  }
  Checkpoint open(const Config& config = tiny()) { return Checkpoint(folder_.path(), config); }
  std::string refusal(const Config& config = tiny()) {
    return error_text<ModelFileError>([&] { open(config); });
  }

  TemporaryFolder folder_;
};

// docs/paligemma/checkpoint.md, "By name".
TEST_F(CheckpointFiles, WorkedExample) {
  const Tensors tensors = tensors_of(tiny());
  write(tensors);
  Checkpoint checkpoint = open();
  const auto weights = checkpoint.weights<float>(tiny());
  EXPECT_EQ(numbers_of(weights.text.embedding), tensors.at(kEmbedding).numbers);
  EXPECT_EQ(numbers_of(weights.text.final_norm), tensors.at(kNorm).numbers);
  EXPECT_EQ(numbers_of(weights.vision.patch_embedding),
            tensors.at("vision_tower.embeddings.patch_embedding.weight").numbers);
  EXPECT_EQ(numbers_of(weights.projector.bias),
            tensors.at("multi_modal_projector.linear.bias").numbers);
  EXPECT_EQ(checkpoint.tensor_count(), static_cast<Index>(tensors.size()));
  EXPECT_EQ(checkpoint.format(), WeightFormat::f32);
  EXPECT_TRUE(checkpoint.trained());
}

TEST_F(CheckpointFiles, MayBeNamedByTheFile) {
  write(tensors_of(tiny()), "other.safetensors");
  EXPECT_NO_THROW(Checkpoint(folder_ / "other.safetensors", tiny()));
  EXPECT_TRUE(holds(error_text<NotFoundError>([&] { open(); }), "model.safetensors"));
}

TEST_F(CheckpointFiles, SayWhetherTheyWereTrained) {
  writer_of(tensors_of(tiny()))
      .add_metadata("trained", "false")
      .write(folder_ / "model.safetensors");
  EXPECT_FALSE(open().trained());
}

// Names of all generations.

TEST(TensorName, IsTheNewestOne) {
  const std::vector<std::pair<const char*, const char*>> all{
      // the hub
      {"vision_tower.vision_model.encoder.layers.3.mlp.fc1.bias",
       "vision_tower.encoder.layers.3.mlp.fc1.bias"},
      {"language_model.model.layers.7.mlp.up_proj.weight",
       "language_model.model.layers.7.mlp.up_proj.weight"},
      {"language_model.lm_head.weight", "lm_head.weight"},
      {"multi_modal_projector.linear.bias", "multi_modal_projector.linear.bias"},
      // 4.52 in memory
      {"model.vision_tower.vision_model.post_layernorm.weight",
       "vision_tower.post_layernorm.weight"},
      {"model.language_model.norm.weight", "language_model.model.norm.weight"},
      {"model.multi_modal_projector.linear.bias", "multi_modal_projector.linear.bias"},
      {"lm_head.weight", "lm_head.weight"},
      // 5.x
      {"vision_tower.post_layernorm.weight", "vision_tower.post_layernorm.weight"},
      // SigLIP, of both towers and of one
      {"vision_model.head.probe", "vision_tower.head.probe"},
      {"encoder.layers.3.mlp.fc1.bias", "vision_tower.encoder.layers.3.mlp.fc1.bias"},
      {"head.attention.in_proj_bias", "vision_tower.head.attention.in_proj_bias"},
      // peft
      {"base_model.model.model.vision_tower.vision_model.post_layernorm.weight",
       "vision_tower.post_layernorm.weight"},
      {"base_model.model.language_model.model.norm.weight", "language_model.model.norm.weight"},
      {"base_model.model.lm_head.weight", "lm_head.weight"},
      // robots
      {"paligemma.model.language_model.norm.weight", "language_model.model.norm.weight"},
      {"paligemma.lm_head.weight", "lm_head.weight"}};
  for (const auto& [name, newest] : all) {
    EXPECT_EQ(current_tensor_name(name), newest) << name;
    EXPECT_EQ(current_tensor_name(newest), newest);
  }
}

// What a name of today was called.
std::string replaced(std::string name, std::string_view prefix, std::string_view with) {
  return name.starts_with(prefix) ? name.replace(0, prefix.size(), with) : name;
}
std::string name_on_the_hub(const std::string& name) {
  return replaced(name, "vision_tower.", "vision_tower.vision_model.");
}
std::string name_in_memory(const std::string& name) {
  if (name == kHead) return name;
  const std::string text = replaced(name, "language_model.model.", "language_model.");
  return "model." + replaced(text, "vision_tower.", "vision_tower.vision_model.");
}

TEST_F(CheckpointFiles, OfEveryGenerationAreTheSameModel) {
  for (bool gemma2 : {false, true}) {
    const Config config = tiny(gemma2);
    const Tensors tensors = tensors_of(config);
    using Rename = std::function<std::string(const std::string&)>;
    for (const Rename& rename :
         {Rename(name_on_the_hub), Rename(name_in_memory),
          Rename([](const std::string& name) { return "paligemma." + name_in_memory(name); }),
          Rename([](const std::string& name) {
            return "base_model.model." + name_in_memory(name);
          })}) {
      Tensors renamed;
      for (const auto& [name, tensor] : tensors) renamed[rename(name)] = tensor;
      ASSERT_EQ(renamed.size(), tensors.size());
      write(renamed);
      const Checkpoint checkpoint = open(config);
      for (const auto& [name, tensor] : tensors) {
        const WeightEntry& entry = checkpoint.tensors().at(name);
        Numbers numbers(static_cast<std::size_t>(entry.count()));
        std::memcpy(numbers.data(), entry.bytes.data(), entry.bytes.size());
        EXPECT_EQ(numbers, tensor.numbers) << name;
      }
    }
  }
}

TEST_F(CheckpointFiles, RefuseTheSameTensorUnderTwoNames) {
  Tensors tensors = tensors_of(tiny());
  tensors["model.language_model.norm.weight"] = tensors.at(kNorm);
  write(tensors);
  EXPECT_TRUE(holds(refusal(), "norm.weight", "twice"));
}

// The head.

TEST_F(CheckpointFiles, ATiedHeadIsTheEmbedding) {
  write(tensors_of(tiny()));
  Checkpoint checkpoint = open();
  const auto weights = checkpoint.weights<float>(tiny());
  EXPECT_EQ(weights.text.head.weight.data(), weights.text.embedding.data());
}

TEST_F(CheckpointFiles, ATiedHeadAloneServesAsTheEmbedding) {
  Tensors tensors = tensors_of(tiny());
  const Numbers numbers = tensors.at(kEmbedding).numbers;
  tensors[kHead] = tensors.extract(kEmbedding).mapped();
  write(tensors);
  Checkpoint checkpoint = open();
  const auto weights = checkpoint.weights<float>(tiny());
  EXPECT_EQ(numbers_of(weights.text.embedding), numbers);
  EXPECT_EQ(weights.text.head.weight.data(), weights.text.embedding.data());
}

TEST_F(CheckpointFiles, IfBothAreThereBothAreUsed) {
  Tensors tensors = tensors_of(tiny());
  tensors[kHead] = random_tensor({11, 4}, 77);
  write(tensors);
  Checkpoint checkpoint = open();
  const auto weights = checkpoint.weights<float>(tiny());
  EXPECT_EQ(numbers_of(weights.text.embedding), tensors.at(kEmbedding).numbers);
  EXPECT_EQ(numbers_of(weights.text.head.weight), tensors.at(kHead).numbers);

  tensors[kHead] = random_tensor({10, 4}, 77);
  write(tensors);
  EXPECT_TRUE(holds(refusal(), kHead, "[10, 4]", "[11, 4]"));
}

TEST_F(CheckpointFiles, ASeparateHeadMustBeThere) {
  const Config config = tiny(false, false);
  Tensors tensors = tensors_of(config);
  write(tensors);
  Checkpoint checkpoint = open(config);
  const auto weights = checkpoint.weights<float>(config);
  EXPECT_EQ(numbers_of(weights.text.head.weight), tensors.at(kHead).numbers);

  tensors.erase(kHead);
  write(tensors);
  EXPECT_TRUE(holds(refusal(config), kHead, "missing"));
  tensors = tensors_of(config);
  tensors.erase(kEmbedding);
  write(tensors);
  EXPECT_TRUE(holds(refusal(config), kEmbedding, "missing"));
}

// Strictness.

TEST_F(CheckpointFiles, IgnoreOnlyWhatChangesNothing) {
  Tensors tensors = tensors_of(tiny());
  const Index count = static_cast<Index>(tensors.size());
  for (const char* name :
       {"vision_tower.vision_model.head.probe", "vision_tower.head.mlp.fc1.weight",
        "vision_tower.vision_model.embeddings.position_ids",
        "language_model.model.layers.0.self_attn.rotary_emb.inv_freq"}) {
    tensors[name] = random_tensor({3}, 5);
  }
  write(tensors);
  EXPECT_EQ(open().tensor_count(), count);
}

// Of a SigLIP, and of a PaliGemma whose language model nobody looks at.
TEST_F(CheckpointFiles, OfAVisionTowerMayHaveAHead) {
  Config tower = tiny();
  tower.text.layers = 0;
  tower.pooling_head = true;
  const Tensors with_head = tensors_of(tower);
  write(with_head);
  Checkpoint checkpoint = open(tower);
  EXPECT_TRUE(checkpoint.as_stored(tower).pooling_head);
  const auto head = checkpoint.weights<float>(tower).head;
  EXPECT_EQ(numbers_of(head.probe), with_head.at("vision_tower.head.probe").numbers);
  EXPECT_EQ(numbers_of(head.in.bias),
            with_head.at("vision_tower.head.attention.in_proj_bias").numbers);
  EXPECT_FALSE(checkpoint.as_stored(tiny()).pooling_head);

  Tensors broken = with_head;
  broken.erase("vision_tower.head.layernorm.bias");
  write(broken);
  EXPECT_TRUE(holds(refusal(tower), "head.layernorm.bias", "missing"));

  Tensors whole = tensors_of(tiny());
  for (const char* name : {"text_model.head.weight", "logit_scale", "language_model.anything"})
    whole[name] = random_tensor({3}, 5);
  write(whole);
  Checkpoint headless = open(tower);
  EXPECT_FALSE(headless.as_stored(tower).pooling_head);
  EXPECT_EQ(headless.weights<float>(tower).head.probe.data(), nullptr);
  EXPECT_EQ(headless.weights<float>(tower).text.embedding.data(), nullptr);
}

TEST_F(CheckpointFiles, MustHoldEveryTensor) {
  const Tensors all = tensors_of(tiny(true));
  for (const auto& [name, tensor] : all) {
    Tensors tensors = all;
    tensors.erase(name);
    write(tensors);
    EXPECT_TRUE(holds(refusal(tiny(true)), name, "missing", folder_.path().string()));
  }
}

TEST_F(CheckpointFiles, MustHoldNoOtherTensor) {
  for (const char* name : {"anything", "language_model.model.layers.1.mlp.up_proj.weight",
                           "language_model.model.layers.0.self_attn.q_proj.bias",
                           "vision_tower.encoder.layers.00.mlp.fc1.bias", "lm_head.bias"}) {
    Tensors tensors = tensors_of(tiny());
    tensors[name] = random_tensor({3}, 5);
    write(tensors);
    EXPECT_TRUE(holds(refusal(), name, "not part of this model"));
  }
}

// The endless newline of a well-known teaching repository: PaliGemma 2 read as PaliGemma 1.
TEST_F(CheckpointFiles, OfPaliGemma2AreNotPaliGemma1) {
  write(tensors_of(tiny(true)));
  EXPECT_TRUE(holds(refusal(tiny()), "feedforward_layernorm", "PaliGemma 2"));
  write(tensors_of(tiny()));
  EXPECT_TRUE(holds(refusal(tiny(true)), "pre_feedforward_layernorm", "missing"));
}

TEST_F(CheckpointFiles, MustHaveTheShapesThatFollow) {
  const Tensors all = tensors_of(tiny());
  for (const auto& [name, tensor] : all) {
    Tensors tensors = all;
    std::vector<Index> shape = tensor.shape;
    shape.back() += 1;
    tensors[name] = random_tensor(shape, 5);
    write(tensors);
    EXPECT_TRUE(holds(refusal(), name, shape_text(shape), shape_text(tensor.shape)));
  }
  // Another order of the same numbers is another shape.
  Tensors tensors = all;
  tensors[kEmbedding].shape = {4, 11};
  write(tensors);
  EXPECT_TRUE(holds(refusal(), kEmbedding, "[4, 11]", "[11, 4]"));
}

TEST_F(CheckpointFiles, MustHoldFloats) {
  const Tensors tensors = tensors_of(tiny());
  const auto with_norm_of = [&](auto zero) {
    using Number = decltype(zero);
    Tensors others = tensors;
    others.erase(kNorm);
    writer_of(others).add_zeros<Number>(kNorm, {4}).write(folder_ / "model.safetensors");
  };
  with_norm_of(std::int8_t{});
  EXPECT_TRUE(holds(refusal(), kNorm, "i8", "f32, bf16 or f16"));
  with_norm_of(std::int64_t{});
  EXPECT_TRUE(holds(refusal(), kNorm, "i64"));
  with_norm_of(double{});
  EXPECT_TRUE(holds(refusal(), kNorm, "f64"));
  with_norm_of(bf16{});
  EXPECT_NO_THROW(open());
}

// Shards.

TEST_F(CheckpointFiles, MayBeSeveral) {
  const Tensors all = tensors_of(tiny());
  Tensors first, second;
  json index = {{"metadata", {{"total_size", 1}}}};
  for (const auto& [name, tensor] : all) {
    const bool to_first = first.size() <= second.size();
    (to_first ? first : second)[name] = tensor;
    index["weight_map"][name] = to_first ? "a.safetensors" : "b.safetensors";
  }
  write(first, "a.safetensors");
  write(second, "b.safetensors");
  write_index(index);
  Checkpoint checkpoint = open();
  EXPECT_EQ(checkpoint.tensor_count(), static_cast<Index>(all.size()));
  EXPECT_EQ(numbers_of(checkpoint.weights<float>(tiny()).text.final_norm), all.at(kNorm).numbers);

  // Whichever of them names it.
  write_text(folder_ / "config.json", "{}");
  for (const char* name :
       {"a.safetensors", "b.safetensors", "config.json", "model.safetensors.index.json"}) {
    EXPECT_EQ(Checkpoint(folder_ / name, tiny()).tensor_count(), checkpoint.tensor_count()) << name;
  }
  // A file that the index does not name is the weights.
  write(all, "c.safetensors");
  write_text(folder_ / "a.safetensors", "");
  EXPECT_EQ(Checkpoint(folder_ / "c.safetensors", tiny()).tensor_count(),
            checkpoint.tensor_count());

  std::filesystem::remove(folder_ / "b.safetensors");
  EXPECT_TRUE(holds(refusal(), "index.json", "b.safetensors", "not there"));
}

// As bitsandbytes 0.50, GPTQ, AWQ and peft name them (docs/paligemma/checkpoint.md).
TEST_F(CheckpointFiles, OfOtherKindsAreNamed) {
  const std::string q = "model.language_model.layers.0.self_attn.q_proj.";
  for (const auto& [name, word] :
       {std::pair("weight.quant_state.bitsandbytes__nf4", "bitsandbytes"),
        std::pair("weight.absmax", "bitsandbytes"), std::pair("SCB", "bitsandbytes"),
        std::pair("qweight", "GPTQ or AWQ"), std::pair("qzeros", "GPTQ or AWQ"),
        std::pair("lora_A.weight", "--adapter")}) {
    Tensors tensors = tensors_of(tiny());
    tensors[q + name] = random_tensor({3}, 5);
    write(tensors);
    EXPECT_TRUE(holds(refusal(), "model.safetensors", q + name, word));
  }
}

TEST_F(CheckpointFiles, RefuseATensorInTwoShards) {
  Tensors all = tensors_of(tiny());
  write(all, "a.safetensors");
  write({{kNorm, all.at(kNorm)}}, "b.safetensors");
  write_index({{"weight_map", {{kEmbedding, "a.safetensors"}, {kNorm, "b.safetensors"}}}});
  EXPECT_TRUE(holds(refusal(), kNorm, "twice"));
}

TEST_F(CheckpointFiles, AnIndexMustNotLeadOutOfItsFolder) {
  std::filesystem::create_directory(folder_ / "inner");
  write(tensors_of(tiny()), "outside.safetensors");
  for (const json& shard :
       {json("../outside.safetensors"), json((folder_ / "outside.safetensors").string()),
        json("inner/../../outside.safetensors"), json(".."), json("."), json("/"), json(""),
        json("inner/"), json(7), json(nullptr), json(std::string(5000, 'a'))}) {
    write_text(folder_ / "inner/model.safetensors.index.json",
               json{{"weight_map", {{kNorm, shard}}}}.dump());
    const std::string text =
        error_text<ModelFileError>([&] { Checkpoint(folder_ / "inner", tiny()); });
    EXPECT_TRUE(holds(text, (folder_ / "inner").string())) << shard;
  }
}

TEST_F(CheckpointFiles, AnIndexMustNameFiles) {
  write_index({{"weight_map", json::object()}});
  EXPECT_TRUE(holds(refusal(), "weight_map is empty"));
  write_index({{"weight_map", json::array()}});
  EXPECT_TRUE(holds(refusal(), "no weight_map"));
  write_index(json::object());
  EXPECT_TRUE(holds(refusal(), "no weight_map"));
  write_text(folder_ / "model.safetensors.index.json", "{");
  EXPECT_TRUE(holds(refusal(), "not JSON"));
}

// Number types.

TEST_F(CheckpointFiles, NumbersOfTheRightTypeAreNotCopied) {
  write(tensors_of(tiny()));
  Checkpoint checkpoint = open();
  const auto weights = checkpoint.weights<float>(tiny());
  const auto* mapped = reinterpret_cast<const float*>(checkpoint.tensors().at(kNorm).bytes.data());
  EXPECT_EQ(weights.text.final_norm.data(), mapped);
}

TEST_F(CheckpointFiles, MisalignedNumbersAreCopied) {
  const Tensors tensors = tensors_of(tiny());
  for (std::size_t offset : {1u, 2u, 3u, 5u}) {
    writer_of(tensors).write(folder_ / "model.safetensors", offset);
    Checkpoint checkpoint = open();
    const auto weights = checkpoint.weights<float>(tiny());
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(weights.text.final_norm.data()) % alignof(float),
              0u);
    EXPECT_EQ(numbers_of(weights.text.final_norm), tensors.at(kNorm).numbers);
    EXPECT_EQ(numbers_of(weights.text.embedding), tensors.at(kEmbedding).numbers);
  }
}

TEST_F(CheckpointFiles, TheFormatIsThatOfMostParameters) {
  const Tensors all = tensors_of(tiny());
  Tensors some;
  SafetensorsWriter writer;
  for (const auto& [name, tensor] : all) {
    if (name == kNorm) {
      writer.add<float>(name, tensor.shape, tensor.numbers);
    } else {
      writer.add_zeros<bf16>(name, tensor.shape);
    }
  }
  writer.write(folder_ / "model.safetensors");
  EXPECT_EQ(open().format(), WeightFormat::bf16);
}

// 1, one and a half ulp of bf16 above it twice (a tie each way), the largest f16, and 2^-20.
// Every row is the same numbers, as the type can say them.
const float kAsFloat[4] = {1.00390625f, 1.01171875f, 65504.0f, 0x1p-20f};
const bf16 kAsBf16[4] = {{0x3f80}, {0x3f82}, {0x4780}, {0x3580}};
const f16 kAsF16[4] = {{0x3c04}, {0x3c0c}, {0x7bff}, {0x0010}};
const float kFromBf16[4] = {1.0f, 1.015625f, 65536.0f, 0x1p-20f};
const f16 kBf16AsF16[4] = {{0x3c00}, {0x3c10}, {0x7c00}, {0x0010}};  // 65536 is too large for f16

template <class Stored, class Real>
void expect_converted(const TemporaryFolder& folder, const Stored (&stored)[4],
                      const Real (&expected)[4]) {
  Tensors others = tensors_of(tiny());
  others.erase(kNorm);
  writer_of(others).add<Stored>(kNorm, {4}, stored).write(folder / "model.safetensors");
  Checkpoint checkpoint(folder.path(), tiny());
  const auto weights = checkpoint.weights<Real>(tiny());
  EXPECT_EQ(std::memcmp(weights.text.final_norm.data(), expected, sizeof expected), 0);
}

TEST_F(CheckpointFiles, EveryTypeIsConvertedToEvery) {
  expect_converted(folder_, kAsFloat, kAsFloat);
  expect_converted(folder_, kAsFloat, kAsBf16);
  expect_converted(folder_, kAsFloat, kAsF16);
  expect_converted(folder_, kAsBf16, kFromBf16);
  expect_converted(folder_, kAsBf16, kAsBf16);
  expect_converted(folder_, kAsBf16, kBf16AsF16);
  expect_converted(folder_, kAsF16, kAsFloat);
  expect_converted(folder_, kAsF16, kAsBf16);
  expect_converted(folder_, kAsF16, kAsF16);
}

// Memory is what the weights occupy: copies where there are any, the mapped tensors elsewhere.

struct Occupied {
  std::size_t mapped = 0, copied = 0, spans = 0;  // bytes, bytes, and how many spans of both
  bool operator==(const Occupied&) const = default;
};
std::ostream& operator<<(std::ostream& stream, const Occupied& o) {
  return stream << o.mapped << " bytes mapped, " << o.copied << " copied, " << o.spans << " spans";
}

Occupied memory_of(const Checkpoint& checkpoint) {
  Occupied all;
  for (const auto& span : checkpoint.memory()) {
    const bool is_mapped =
        std::any_of(checkpoint.tensors().begin(), checkpoint.tensors().end(),
                    [&](const auto& tensor) { return tensor.second.bytes.data() == span.data(); });
    (is_mapped ? all.mapped : all.copied) += span.size();
    ++all.spans;
  }
  return all;
}

TEST_F(CheckpointFiles, MemoryIsTheFilesAndTheCopiesThatAreInUse) {
  // A norm of floats between tensors of bf16, as a table of positions may be.
  Tensors all = tensors_of(tiny());
  SafetensorsWriter writer;
  std::size_t numbers = 0;
  for (const auto& [name, tensor] : all) {
    numbers += tensor.numbers.size();
    if (name == kNorm) {
      writer.add<float>(name, tensor.shape, tensor.numbers);
    } else {
      writer.add<bf16>(name, tensor.shape, std::vector<bf16>(tensor.numbers.size()));
    }
  }
  writer.write(folder_ / "model.safetensors");
  const std::size_t norm = all.at(kNorm).numbers.size();

  Checkpoint untouched = open();
  EXPECT_EQ(memory_of(untouched), (Occupied{2 * numbers + 2 * norm, 0, 1}));
  Checkpoint as_stored = open();
  as_stored.weights<bf16>(tiny());
  EXPECT_EQ(memory_of(as_stored), (Occupied{2 * (numbers - norm), 2 * norm, 3}));
  as_stored.forget_copies();
  EXPECT_EQ(memory_of(as_stored), memory_of(untouched));
  Checkpoint converted = open();
  converted.weights<float>(tiny());
  EXPECT_EQ(memory_of(converted), (Occupied{4 * norm, 4 * (numbers - norm), all.size()}));
}

}  // namespace
}  // namespace paligemma
