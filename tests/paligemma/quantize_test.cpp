#include "paligemma/quantize.h"

#include <gtest/gtest.h>

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
  quantize_checkpoint(kGolden, GetParam(), out_);
  EXPECT_NE(error_text<std::runtime_error>([&] {
              quantize_checkpoint(kGolden, GetParam(), out_);
            }).find("there is a model already"),
            std::string::npos);
  EXPECT_THROW(quantize_checkpoint(kGolden, GetParam(), kGolden), std::runtime_error);
}

TEST_P(QuantizeTo, RefusesWhatIsQuantizedOtherwise) {
  quantize_checkpoint(kGolden, GetParam(), out_);
  const WeightFormat other = GetParam() == WeightFormat::int8_blocks ? WeightFormat::int4_blocks
                                                                     : WeightFormat::int8_blocks;
  EXPECT_THROW(quantize_checkpoint(out_, other, folder_.path() / "other"), ModelFileError);
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "other" / "model.safetensors"));
  EXPECT_THROW(Pipeline<Reference>(reference, {.model = out_, .dtype = other}), ModelFileError);
  EXPECT_THROW(Pipeline<Reference>(reference, {.model = out_, .dtype = WeightFormat::bf16}),
               ModelFileError);
}

TEST_P(QuantizeTo, RefusesWeightsThatNoBlockCanSay) {
  const std::filesystem::path model = folder_.path() / "model";
  const std::string name = "language_model.model.layers.0.mlp.down_proj.weight";
  copy_golden(model);
  StoredTensors tensors = read_tensors(model / "model.safetensors");
  for (auto& [old_name, tensor] : tensors) {
    const float infinity = std::numeric_limits<float>::infinity();
    if (current_tensor_name(old_name) == name) {
      std::memcpy(&tensor.bytes[4 * 77], &infinity, sizeof infinity);
    }
  }
  write_tensors(model / "model.safetensors", tensors);
  EXPECT_TRUE(holds(
      error_text<ModelFileError>([&] { quantize_checkpoint(model, GetParam(), out_); }), name));
  EXPECT_FALSE(std::filesystem::exists(out_ / "model.safetensors"));
  EXPECT_TRUE(holds(error_text<ModelFileError>([&] {
                      Pipeline<Reference>(reference, {.model = model, .dtype = GetParam()});
                    }),
                    name));
  EXPECT_NO_THROW(Pipeline<Reference>(reference, {.model = model}));
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
