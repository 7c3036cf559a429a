#include "train/learned_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "paligemma/adapter.h"
#include "tests/support/checkpoint_files.h"
#include "tests/support/data.h"
#include "tests/support/error_text.h"
#include "tests/support/keras_golden.h"
#include "tests/support/learners.h"
#include "tests/support/temporary_folder.h"

namespace paligemma {
namespace {

using namespace test;
namespace fs = std::filesystem;

constexpr const char* kEmbedding = "language_model.model.embed_tokens.weight";

// A folder with a model, and what is learned of it.
struct Learned {
  fs::path folder;
  Config config;
  Checkpoint checkpoint;
  Parameters parameters;

  template <class Choice>
  Learned(const fs::path& from, const Choice& choice)
      : folder(from),
        config(read_config(from)),
        checkpoint(from, config),
        parameters(checkpoint, config, choice) {}

  void write(const fs::path& out) const {
    write_learned_model(out, folder, checkpoint, config, parameters);
  }
  Parameter& named(const std::string& name) {
    return *std::ranges::find(parameters.all(), name, &Parameter::name);
  }
  void move() {
    unsigned seed = 1;
    for (Parameter& parameter : parameters.all()) {
      const auto value = parameter.value.view();
      const auto numbers = random<float, 2>(value.shape(), seed++);
      std::copy_n(numbers.view().data(), value.count(), value.data());
    }
  }
};

Parameters::Choice all() {
  return [](const std::string&) { return true; };
}

std::string bytes_in(const WeightEntry& entry) {
  return {reinterpret_cast<const char*>(entry.bytes.data()), entry.bytes.size()};
}

class LearnedModel : public ::testing::Test {
 protected:
  // The golden PaliGemma 1 with all of its numbers in this type.
  fs::path model_in(WeightFormat format) const {
    const fs::path folder = folder_ / ("in " + std::string(name_of(format)));
    copy_golden(folder);
    const Checkpoint golden(kGolden, read_config(kGolden));
    StoredTensors tensors;
    for (const auto& [name, entry] : golden.tensors()) {
      std::string bytes(row_bytes(format, entry.count()), '\0');
      write_row(all_as_floats(entry), format, reinterpret_cast<std::byte*>(bytes.data()));
      const char* const dtype = format == WeightFormat::bf16  ? "BF16"
                                : format == WeightFormat::f16 ? "F16"
                                                              : "F32";
      tensors[name] = {dtype, {entry.shape.begin(), entry.shape.end()}, bytes};
    }
    write_tensors(folder / "model.safetensors", tensors);
    return folder;
  }

  const TemporaryFolder folder_;
  const fs::path out_ = folder_ / "a" / "out";
};

constexpr WeightFormat kNumbers[] = {WeightFormat::f32, WeightFormat::bf16, WeightFormat::f16};

// docs/train/learned_model.md, "By hand": 1.01 in each type.
TEST_F(LearnedModel, WorkedExample) {
  const std::string norm = "language_model.model.norm.weight";
  const float written[]{1.01f, 1.0078125f, 1.009765625f};
  for (std::size_t i = 0; i < 3; ++i) {
    Learned learned(model_in(kNumbers[i]), [&](const std::string& name) { return name == norm; });
    learned.parameters.all()[0].value.view()(0, 7) = 1.01f;
    learned.write(out_);
    const Checkpoint read(out_, read_config(out_));
    EXPECT_EQ(all_as_floats(read.tensors().at(norm))[7], written[i]) << name_of(kNumbers[i]);
  }
}

TEST_F(LearnedModel, IsTheModelWhereNothingHasMoved) {
  for (const WeightFormat format : kNumbers) {
    SCOPED_TRACE(name_of(format));
    const Learned learned(model_in(format), all());
    learned.write(out_);
    const Checkpoint read(out_, read_config(out_));
    ASSERT_EQ(read.tensors().size(), learned.checkpoint.tensors().size());
    for (const auto& [name, entry] : read.tensors()) {
      const WeightEntry& before = learned.checkpoint.tensors().at(name);
      EXPECT_EQ(entry.format, format) << name;
      EXPECT_EQ(entry.shape, before.shape) << name;
      EXPECT_EQ(bytes_in(entry), bytes_in(before)) << name;
    }
  }
}

// What has not, stays as it is stored, to the last bit.
TEST_F(LearnedModel, HasWhatHasMovedRounded) {
  for (const WeightFormat format : kNumbers) {
    SCOPED_TRACE(name_of(format));
    Learned learned(model_in(format), [](const std::string& name) {
      return name.find("layers.1.") != name.npos || name.ends_with("patch_embedding.weight");
    });
    learned.move();
    learned.write(out_);
    const Checkpoint read(out_, read_config(out_));
    std::size_t moved = 0;
    for (const auto& [name, entry] : read.tensors()) {
      std::string expected = bytes_in(learned.checkpoint.tensors().at(name));
      for (const Parameter& parameter : learned.parameters.all()) {
        if (parameter.name != name) continue;
        const auto value = parameter.value.view();
        write_row({value.data(), static_cast<std::size_t>(value.count())}, format,
                  reinterpret_cast<std::byte*>(expected.data()));
        ++moved;
      }
      EXPECT_EQ(bytes_in(entry), expected) << name;
    }
    EXPECT_EQ(moved, learned.parameters.all().size());
  }
}

TEST_F(LearnedModel, HasTheOtherFilesOfTheModel) {
  const fs::path model = model_in(WeightFormat::bf16);
  write_text(model / "tokenizer_config.json", "{}");
  write_text(model / "README.md", "a model");
  Learned(model, all()).write(out_);
  for (const char* name : {"config.json", "generation_config.json", "preprocessor_config.json",
                           "tokenizer.model", "tokenizer_config.json"}) {
    EXPECT_EQ(read_bytes(out_ / name), read_bytes(model / name)) << name;
  }
  const fs::directory_iterator files(out_);
  EXPECT_EQ(std::distance(begin(files), end(files)), 6);
}

TEST_F(LearnedModel, ReplacesTheOneBefore) {
  Learned learned(model_in(WeightFormat::f32), all());
  learned.write(out_);
  write_text(out_ / "training.safetensors", "a saved run");
  learned.named(kEmbedding).value.view()(3, 4) = 0.25f;
  learned.write(out_);
  const Checkpoint read(out_, read_config(out_));
  EXPECT_EQ(all_as_floats(read.tensors().at(kEmbedding))[3 * 40 + 4], 0.25f);
  EXPECT_EQ(read_bytes(out_ / "training.safetensors"), "a saved run");
}

// Head and embedding: one table, two, or one that the configuration calls the other's.
TEST_F(LearnedModel, HasAHeadOfItsOwnIfTheModelHas) {
  const fs::path scripted = folder_ / "scripted";
  write_scripted_model(scripted, "red circle");
  const fs::path both = model_in(WeightFormat::f32);
  StoredTensors tensors = read_tensors(both / "model.safetensors");
  tensors["lm_head.weight"] = tensors.at(kEmbedding);
  write_tensors(both / "model.safetensors", tensors);
  for (const fs::path& model : {fs::path(kGolden), scripted, both}) {
    SCOPED_TRACE(model);
    Learned learned(model, [](const std::string& name) { return name == kEmbedding; });
    learned.move();
    fs::remove_all(out_);
    learned.write(out_);
    const Checkpoint read(out_, read_config(out_));
    const bool has_head = model != kGolden;
    ASSERT_EQ(read.tensors().count("lm_head.weight"), has_head ? 1u : 0u);
    const auto value = learned.parameters.all()[0].value.view();
    EXPECT_EQ(all_as_floats(read.tensors().at(kEmbedding))[5], value.data()[5]);
    if (!has_head) continue;
    EXPECT_EQ(bytes_in(read.tensors().at("lm_head.weight")),
              bytes_in(learned.checkpoint.tensors().at("lm_head.weight")));
  }
}

// Numbers that lie in another order come in ours.
TEST_F(LearnedModel, IsWrittenOfAPresetOfKeras) {
  const fs::path preset = keras_folder() / "float32";
  Learned learned(preset, [](const std::string& name) { return name.ends_with("layers.1."); });
  learned.write(out_);
  const Checkpoint read(out_, read_config(out_));
  ASSERT_EQ(read.tensors().size(), learned.checkpoint.tensors().size());
  for (const auto& [name, entry] : read.tensors()) {
    EXPECT_FALSE(entry.order) << name;
    EXPECT_EQ(all_as_floats(entry), all_as_floats(learned.checkpoint.tensors().at(name))) << name;
  }
  EXPECT_EQ(read_bytes(out_ / "tokenizer.model"), read_bytes(kKerasTokenizer));
}

TEST_F(LearnedModel, KeepsThatTheRestIsUntrained) {
  const fs::path model = model_in(WeightFormat::f32);
  write_tensors(model / "model.safetensors", read_tensors(model / "model.safetensors"),
                {{"__metadata__", {{"trained", "false"}}}});
  Learned(model, all()).write(out_);
  EXPECT_FALSE(Checkpoint(out_, read_config(out_)).trained());
}

TEST_F(LearnedModel, IsNotWrittenOverTheModelItself) {
  const fs::path model = model_in(WeightFormat::f32);
  const Learned learned(model, all());
  const std::string before = read_bytes(model / "model.safetensors");
  EXPECT_TRUE(holds(error_text<std::runtime_error>([&] { learned.write(model); }), model.string()));
  EXPECT_EQ(read_bytes(model / "model.safetensors"), before);
  write_text(folder_ / "file", "");
  EXPECT_THROW(learned.write(folder_ / "file"), std::runtime_error);
}

class LearnedAdapter : public LearnedModel {
 protected:
  const LoraRule rule_ = all_linear();
  Learned learned_{kGolden, rule_};

  void write() { write_learned_adapter(out_, "google/base", rule_, learned_.parameters); }
};

// Both read alike: what the adapter holds, and what the model says with it.
TEST_F(LearnedAdapter, SaysWhatItSaidWhileItLearned) {
  learned_.move();
  const auto learner = make_learner(reference, learned_.config, learned_.parameters, {});
  write();
  Checkpoint base(kGolden, learned_.config);
  base.adapt(std::make_shared<Adapter>(out_, base, learned_.config));
  const Model<Reference, HostWeights<float>> model{
      reference, learned_.config.vision, learned_.config.text, learned_.config.image_token,
      base.weights<float>(learned_.config)};
  const TrainingBatch batch = TrainingGolden(1).batch({0, 2});
  EXPECT_EQ(loss_of(reference, model, batch), learner->loss(batch));
}

// adapters/all_linear is one of the same layers and the same rank that PEFT 0.21.2 wrote.
TEST_F(LearnedAdapter, HasTheFilesNamesAndFieldsOfPeft) {
  write();
  const fs::path golden = fs::path(kGolden) / "adapters" / "all_linear";
  const StoredTensors ours = read_tensors(out_ / "adapter_model.safetensors");
  const StoredTensors theirs = read_tensors(golden / "adapter_model.safetensors");
  ASSERT_EQ(ours.size(), theirs.size());
  for (const auto& [name, tensor] : theirs) {
    ASSERT_TRUE(ours.contains(name)) << name;
    EXPECT_EQ(ours.at(name).shape, tensor.shape) << name;
    EXPECT_EQ(ours.at(name).dtype, "F32") << name;
  }
  const auto config = nlohmann::json::parse(read_bytes(out_ / "adapter_config.json"));
  const auto known = nlohmann::json::parse(read_bytes(golden / "adapter_config.json"));
  for (const auto& [name, value] : config.items()) {
    ASSERT_TRUE(known.contains(name)) << name;
    const bool is_own =
        name == "base_model_name_or_path" || name == "lora_alpha" || name == "target_modules";
    EXPECT_TRUE(is_own || value == known.at(name)) << name;
  }
  EXPECT_EQ(config.at("base_model_name_or_path"), "google/base");
  EXPECT_EQ(config.at("lora_alpha"), 4);
  EXPECT_EQ(config.at("target_modules").size(), ours.size() / 2);
  const fs::directory_iterator files(out_);
  EXPECT_EQ(std::distance(begin(files), end(files)), 2);
}

TEST_F(LearnedAdapter, ReplacesTheOneBefore) {
  write();
  learned_.move();
  write();
  const StoredTensors tensors = read_tensors(out_ / "adapter_model.safetensors");
  for (const Parameter& parameter : learned_.parameters.all()) {
    const auto value = parameter.value.view();
    const std::string& bytes = tensors.at(parameter.name).bytes;
    EXPECT_EQ(std::memcmp(bytes.data(), value.data(), bytes.size()), 0) << parameter.name;
  }
}

TEST_F(LearnedAdapter, LeavesNothingOfWhatItCannotWrite) {
  fs::create_directories(out_ / "adapter_config.json" / "a folder");
  EXPECT_THROW(write(), std::runtime_error);
  EXPECT_FALSE(fs::exists(out_ / "adapter_model.safetensors"));
  EXPECT_FALSE(fs::exists(out_ / "adapter_model.safetensors.part"));
  fs::remove_all(out_);
  fs::create_directories(out_ / "adapter_model.safetensors" / "a folder");
  EXPECT_TRUE(holds(error_text<std::runtime_error>([&] { write(); }), "adapter_model.safetensors"));
  EXPECT_FALSE(fs::exists(out_ / "adapter_model.safetensors.part"));
  fs::remove_all(out_);
  write_text(out_, "");
  EXPECT_THROW(write(), std::runtime_error);
}

}  // namespace
}  // namespace paligemma
