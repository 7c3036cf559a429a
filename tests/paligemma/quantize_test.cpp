#include "paligemma/quantize.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cmath>
#include <csignal>
#include <cstring>
#include <fstream>

#include "paligemma/pipeline.h"
#include "tensor/errors.h"
#include "tests/support/checkpoint_files.h"
#include "tests/support/error_text.h"
#include "tests/support/tiny_model.h"

namespace paligemma {
namespace {

using namespace test;

class QuantizeTo : public ::testing::TestWithParam<WeightFormat> {
 protected:
  TemporaryFolder folder_;
  const std::filesystem::path out_ = folder_.path() / "out";
};
INSTANTIATE_TEST_SUITE_P(, QuantizeTo,
                         ::testing::Values(WeightFormat::int8_blocks, WeightFormat::int4_blocks),
                         [](const auto& named) { return std::string(name_of(named.param)); });

// docs/paligemma/quantize.md: the default model, written once, opens as what it is and says the same as if
// it is quantised on the way.
TEST_P(QuantizeTo, WorkedExample) {
  quantize_checkpoint(kTinyModel, GetParam(), out_);
  const Pipeline<Reference> written(reference, {.model = out_});
  const Pipeline<Reference> on_the_way(reference, {.model = kTinyModel, .dtype = GetParam()});
  EXPECT_EQ(written.dtype(), GetParam());
  EXPECT_EQ(on_the_way.dtype(), GetParam());
  const auto image = scene_picture(3);
  const auto here = written.encode(image.view()), there = on_the_way.encode(image.view());
  const Reply answer = written.generate(here, "caption en", {});
  EXPECT_EQ(ids_of(answer), ids_of(on_the_way.generate(there, "caption en", {})));
  EXPECT_FALSE(answer.text.empty());
}

TEST_P(QuantizeTo, EveryTensorIsThere) {
  for (const std::string& model : {kGolden, kGolden2}) {
    std::filesystem::remove_all(out_);
    quantize_checkpoint(model, GetParam(), out_);
    const Config config = read_config(out_);
    const Checkpoint before(model, config), after(out_, config);
    ASSERT_EQ(before.tensors().size(), after.tensors().size());
    for (const auto& [name, entry] : after.tensors()) {
      const WeightEntry& original = before.tensors().at(name);
      EXPECT_EQ(entry.shape, original.shape) << name;
      EXPECT_EQ(entry.format, is_text_matrix({name, entry.shape}) ? GetParam() : WeightFormat::bf16)
          << name;
    }
    EXPECT_EQ(after.format(), GetParam());
    EXPECT_EQ(after.trained(), before.trained());

    const std::string file = read_bytes(out_ / "model.safetensors");
    std::uint64_t header = 0;
    std::memcpy(&header, file.data(), sizeof header);
    EXPECT_EQ(static_cast<Index>(file.size() - sizeof header - header),
              weight_bytes(config, GetParam()));
  }
}

TEST_P(QuantizeTo, BlocksAreWhatQuantizeMakesOfTheRows) {
  if (GetParam() == WeightFormat::int4_blocks) GTEST_SKIP() << "one format is enough";
  quantize_checkpoint(kGolden, GetParam(), out_);
  const Config config = read_config(out_);
  Checkpoint before(kGolden, config), after(out_, config);
  const std::string name = "language_model.model.layers.0.mlp.down_proj.weight";
  const std::vector<Index> shape{config.text.width, config.text.mlp_width};
  const auto weights = before.matrix<float>(name, shape);
  const auto blocks = after.blocks<Int8Block>(name, shape);
  for (Index o = 0; o < shape[0]; ++o) {
    for (Index b = 0; b < blocks.size(1); ++b) {
      const Index features = std::min(kBlock, shape[1] - b * kBlock);
      const Int8Block expected = quantize<Int8Block>(&weights(o, b * kBlock), features);
      EXPECT_EQ(std::memcmp(&blocks(o, b), &expected, sizeof expected), 0) << o << ", " << b;
    }
  }
}

TEST_P(QuantizeTo, KeepsThatAModelIsUntrained) {
  const std::filesystem::path model = folder_.path() / "model";
  copy_golden(model);
  write_tensors(model / "model.safetensors", read_tensors(model / "model.safetensors"),
                {{"__metadata__", {{"trained", "false"}}}});
  quantize_checkpoint(model, GetParam(), out_);
  EXPECT_FALSE(Checkpoint(out_, read_config(out_)).trained());
}

TEST_P(QuantizeTo, TheFirstTensorIsAligned) {
  quantize_checkpoint(kGolden, GetParam(), out_);
  std::uint64_t length = 0;
  std::memcpy(&length, read_bytes(out_ / "model.safetensors").data(), sizeof length);
  EXPECT_EQ((sizeof length + length) % 64, 0u);
}

TEST_P(QuantizeTo, TellsHowFarItIs) {
  std::size_t last = 0, whole = 0;
  quantize_checkpoint(kGolden, GetParam(), out_, [&](std::size_t done, std::size_t all) {
    EXPECT_GT(done, last);
    last = done;
    whole = all;
  });
  EXPECT_EQ(last, whole);
  EXPECT_GT(whole, 0u);
}

TEST_P(QuantizeTo, RefusesAFolderWithAModel) {
  const auto said = [&](const std::filesystem::path& model, const std::filesystem::path& out) {
    return error_text<std::runtime_error>([&] { quantize_checkpoint(model, GetParam(), out); });
  };
  const std::string there_is = "there is a model already";
  quantize_checkpoint(kGolden, GetParam(), out_);
  EXPECT_TRUE(holds(said(kGolden, out_), there_is));
  std::filesystem::rename(out_ / "model.safetensors", out_ / "model.safetensors.index.json");
  EXPECT_TRUE(holds(said(kGolden, out_), there_is));

  const std::filesystem::path model = folder_.path() / "model";
  copy_golden(model);
  EXPECT_TRUE(holds(said(model, model), there_is));
  std::filesystem::rename(model / "model.safetensors", model / "weights.safetensors");
  EXPECT_TRUE(holds(said(model / "weights.safetensors", model), there_is));
}

TEST_P(QuantizeTo, TakesAlongWhatStandsBesideTheWeights) {
  const std::filesystem::path model = folder_.path() / "model";
  copy_golden(model);
  std::filesystem::remove(model / "preprocessor_config.json");
  write_text(model / "processor_config.json", R"({"image_processor": {"resample": 2}})");
  for (const char* name :
       {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
        "vae-oid.npz", "chat_template.json", "chat_template.jinja"}) {
    write_text(model / name, name);
  }
  write_text(model / "pytorch_model.bin", "weights");
  quantize_checkpoint(model, GetParam(), out_);
  EXPECT_EQ(read_config(out_).resample, ResampleFilter::bilinear);
  std::set<std::string> before, after;
  for (const auto& entry : std::filesystem::directory_iterator(model)) {
    before.insert(entry.path().filename());
  }
  for (const auto& entry : std::filesystem::directory_iterator(out_)) {
    after.insert(entry.path().filename());
  }
  before.erase("pytorch_model.bin");
  EXPECT_EQ(after, before);
  EXPECT_EQ(read_bytes(out_ / "chat_template.jinja"), "chat_template.jinja");
}

// Where the disk is full, or the caller stops it.
TEST_P(QuantizeTo, LeavesNothingOfWhatItCannotFinish) {
  const auto stop = [](std::size_t, std::size_t) { throw std::domain_error("enough"); };
  EXPECT_THROW(quantize_checkpoint(kGolden, GetParam(), out_, stop), std::domain_error);
  EXPECT_FALSE(std::filesystem::exists(out_));

  // No room for tokenizer.model, and none for the weights; in a folder that is not there, or is.
  std::signal(SIGXFSZ, SIG_IGN);
  for (const rlim_t bytes : {1 << 14, 1 << 16}) {
    for (const bool is_there : {false, true}) {
      if (is_there) std::filesystem::create_directories(out_);
      rlimit before;
      ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
      const rlimit small{bytes, before.rlim_max};
      setrlimit(RLIMIT_FSIZE, &small);
      const std::string said = error_text<std::runtime_error>(
          [&] { quantize_checkpoint(kGolden, GetParam(), is_there ? out_ : out_ / "a/b"); });
      setrlimit(RLIMIT_FSIZE, &before);
      EXPECT_TRUE(holds(said, bytes < 1 << 16 ? "tokenizer.model" : "model.safetensors")) << said;
      EXPECT_EQ(std::filesystem::exists(out_), is_there);
      EXPECT_TRUE(!is_there || std::filesystem::is_empty(out_));
    }
    std::filesystem::remove(out_);
  }
}

// A second run, while the first is at work, and what the first has written is whole.
TEST_P(QuantizeTo, OneRunWritesAFolder) {
  int tries = 0;
  quantize_checkpoint(kGolden, GetParam(), out_, [&](std::size_t, std::size_t) {
    if (tries++ > 0) return;
    EXPECT_TRUE(holds(
        error_text<std::runtime_error>([&] { quantize_checkpoint(kGolden, GetParam(), out_); }),
        "model.safetensors", "another run"));
  });
  EXPECT_GT(tries, 1);
  EXPECT_NO_THROW(Pipeline<Reference>(reference, {.model = out_}));
}

// As a run that was killed leaves it.
TEST_P(QuantizeTo, WritesOverWhatWasNotFinished) {
  std::filesystem::create_directory(out_);
  write_text(out_ / "model.safetensors.part", std::string(1 << 20, 'x'));
  write_text(out_ / "config.json.part", "{");
  quantize_checkpoint(kGolden, GetParam(), out_);
  EXPECT_NO_THROW(Pipeline<Reference>(reference, {.model = out_}));
  EXPECT_FALSE(std::filesystem::exists(out_ / "config.json.part"));
}

// It would be read beside weights that never had it.
TEST_P(QuantizeTo, RefusesAFolderWithAFileThatTheModelHasNot) {
  std::filesystem::create_directory(out_);
  write_text(out_ / "added_tokens.json", "{}");
  EXPECT_TRUE(
      holds(error_text<std::runtime_error>([&] { quantize_checkpoint(kGolden, GetParam(), out_); }),
            "added_tokens.json"));
  EXPECT_EQ(read_bytes(out_ / "added_tokens.json"), "{}");
  EXPECT_FALSE(std::filesystem::exists(out_ / "config.json"));
}

TEST_P(QuantizeTo, RefusesWhatIsQuantizedOtherwise) {
  quantize_checkpoint(kGolden, GetParam(), out_);
  const WeightFormat other = GetParam() == WeightFormat::int8_blocks ? WeightFormat::int4_blocks
                                                                     : WeightFormat::int8_blocks;
  EXPECT_THROW(quantize_checkpoint(out_, other, folder_.path() / "other"), ModelFileError);
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "other"));
  EXPECT_THROW(Pipeline<Reference>(reference, {.model = out_, .dtype = other}), ModelFileError);
  EXPECT_THROW(Pipeline<Reference>(reference, {.model = out_, .dtype = WeightFormat::bf16}),
               ModelFileError);
}

// Nor what stands beside blocks: their inputs are rounded to 8 bits, which hides a NaN.
TEST_P(QuantizeTo, RefusesWeightsThatAreNoNumbers) {
  const std::filesystem::path model = folder_.path() / "model";
  copy_golden(model);
  const StoredTensors whole = read_tensors(model / "model.safetensors");
  for (const std::string name :
       {"language_model.model.layers.0.mlp.down_proj.weight", "language_model.model.norm.weight",
        "language_model.model.embed_tokens.weight", "multi_modal_projector.linear.bias",
        "vision_tower.encoder.layers.1.mlp.fc1.weight",
        "vision_tower.embeddings.patch_embedding.weight"}) {
    for (const float number : {std::nanf(""), -std::numeric_limits<float>::infinity()}) {
      StoredTensors tensors = whole;
      for (auto& [old_name, tensor] : tensors) {
        if (current_tensor_name(old_name) != name) continue;
        std::memcpy(&tensor.bytes[tensor.bytes.size() - 4], &number, sizeof number);
      }
      write_tensors(model / "model.safetensors", tensors);
      EXPECT_TRUE(holds(
          error_text<ModelFileError>([&] { quantize_checkpoint(model, GetParam(), out_); }), name));
      EXPECT_FALSE(std::filesystem::exists(out_));
      EXPECT_TRUE(holds(error_text<ModelFileError>([&] {
                          Pipeline<Reference>(reference, {.model = model, .dtype = GetParam()});
                        }),
                        name));
      EXPECT_NO_THROW(Pipeline<Reference>(reference, {.model = model}));
    }
  }
}

// A file of blocks need not be ours.
TEST_P(QuantizeTo, IsReadWithFiniteScalesOnly) {
  quantize_checkpoint(kGolden, GetParam(), out_);
  const StoredTensors whole = read_tensors(out_ / "model.safetensors");
  const std::string name = "language_model.model.layers.0.self_attn.q_proj.weight";
  for (const float number : {std::nanf(""), -std::numeric_limits<float>::infinity()}) {
    StoredTensors tensors = whole;
    std::memcpy(tensors.at(name).bytes.data(), &number,
                sizeof number);  // a block begins with its scale
    write_tensors(out_ / "model.safetensors", tensors);
    EXPECT_TRUE(
        holds(error_text<ModelFileError>([&] { Pipeline<Reference>(reference, {.model = out_}); }),
              name));
  }
}

TEST_P(QuantizeTo, RefusesAModelThatIsNotThere) {
  EXPECT_THROW(quantize_checkpoint(folder_.path() / "none", GetParam(), out_), NotFoundError);
}

TEST_P(QuantizeTo, SaysWhereItCannotWrite) {
  std::ofstream(folder_.path() / "file") << "in the way";
  EXPECT_THROW(quantize_checkpoint(kGolden, GetParam(), folder_.path() / "file" / "out"),
               std::runtime_error);
}

}  // namespace
}  // namespace paligemma
