#include "train/parameters.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "tests/support/compare.h"
#include "tests/support/data.h"
#include "tests/support/training_golden.h"

namespace paligemma {
namespace {

using namespace test;

bool everything(const std::string&) { return true; }
bool is_of_the_decoder(const std::string& name) { return name.starts_with("language_model."); }

// Version 1's file holds floats, version 2's bf16.
class ParametersOf : public ::testing::TestWithParam<int> {
 protected:
  TrainingGolden golden_{GetParam()};

  Parameters parameters(bool (*is_learned)(const std::string&) = everything) {
    return Parameters(golden_.checkpoint, golden_.config, is_learned);
  }

  static Parameter& find(Parameters& parameters, const std::string& name) {
    for (Parameter& parameter : parameters.all()) {
      if (parameter.name == name) return parameter;
    }
    throw ContractError("no parameter " + name);
  }

  std::size_t bytes_of_checkpoint() const {
    std::size_t bytes = 0;
    for (const auto& stretch : golden_.checkpoint.memory()) bytes += stretch.size();
    return bytes;
  }
};
INSTANTIATE_TEST_SUITE_P(Golden, ParametersOf, ::testing::Values(1, 2));

TEST_P(ParametersOf, AreTheExpectedTensorsInTheirOrder) {
  Parameters p = parameters();
  const auto expected = expected_tensors(golden_.config);
  ASSERT_EQ(p.all().size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const Parameter& parameter = p.all()[i];
    EXPECT_EQ(parameter.name, expected[i].name);
    EXPECT_EQ(parameter.shape, expected[i].shape);
    EXPECT_EQ(parameter.is_matrix(), expected[i].shape.size() == 2) << parameter.name;
    EXPECT_EQ(parameter.gradient.view().shape(), parameter.value.view().shape());
  }
}

// As the file has them: a number of bf16 is the upper half of a float's bits.
TEST_P(ParametersOf, HaveTheFilesNumbers) {
  Parameters p = parameters();
  for (const Parameter& parameter : p.all()) {
    const WeightEntry& entry = golden_.checkpoint.tensors().at(parameter.name);
    const auto value = parameter.value.view();
    ASSERT_EQ(value.count(), entry.count()) << parameter.name;
    const std::size_t size = GetParam() == 1 ? 4 : 2;
    ASSERT_EQ(entry.bytes.size(), size * static_cast<std::size_t>(entry.count()));
    Index different = 0;
    for (Index i = 0; i < value.count(); ++i) {
      float number = 0;
      std::memcpy(reinterpret_cast<std::byte*>(&number) + 4 - size,
                  entry.bytes.data() + static_cast<std::size_t>(i) * size, size);
      different += value.data()[i] != number;
    }
    EXPECT_EQ(different, 0) << parameter.name;
  }
}

TEST_P(ParametersOf, LeaveNoCopiesInTheCheckpoint) {
  const std::size_t before = bytes_of_checkpoint();
  const Parameters p = parameters();
  EXPECT_EQ(bytes_of_checkpoint(), before);
}

TEST_P(ParametersOf, HaveVectorsAsOneRowAndPatchesAsRowsOfAMatrix) {
  Parameters p = parameters();
  const siglip::EncoderShape& vision = golden_.config.vision;
  const Index D = vision.width, P = vision.patch_size;
  const Parameter& patches = find(p, "vision_tower.embeddings.patch_embedding.weight");
  EXPECT_EQ(patches.shape, (std::vector<Index>{D, 3, P, P}));
  EXPECT_EQ(patches.value.view().shape(), (std::array<Index, 2>{D, 3 * P * P}));
  EXPECT_FALSE(patches.is_matrix());
  const Parameter& bias = find(p, "vision_tower.embeddings.patch_embedding.bias");
  EXPECT_EQ(bias.value.view().shape(), (std::array<Index, 2>{1, D}));
  EXPECT_FALSE(bias.is_matrix());
  const Parameter& positions = find(p, "vision_tower.embeddings.position_embedding.weight");
  EXPECT_EQ(positions.value.view().shape(), (std::array<Index, 2>{vision.patches(), D}));
  EXPECT_TRUE(positions.is_matrix());
}

// What composites read and add to are these numbers, not copies of them.
TEST_P(ParametersOf, AreWhatCompositesSee) {
  Parameters p = parameters();
  const auto weights = p.weights();
  const auto gradients = p.gradients();
  Parameter& k = find(p, "language_model.model.layers.1.self_attn.k_proj.weight");
  EXPECT_EQ(weights.text.blocks[1].self_attention.k.weight.data(), k.value.view().data());
  EXPECT_EQ(gradients.text.blocks[1].self_attention.k.weight.data(), k.gradient.view().data());
  EXPECT_EQ(gradients.text.blocks[1].self_attention.k.weight.shape(), k.value.view().shape());
  Parameter& norm = find(p, "language_model.model.norm.weight");
  EXPECT_EQ(weights.text.final_norm.data(), norm.value.view().data());
  EXPECT_EQ(gradients.text.final_norm.data(), norm.gradient.view().data());
  EXPECT_EQ(gradients.text.final_norm.size(0), golden_.config.text.width);
  Parameter& bias = find(p, "multi_modal_projector.linear.bias");
  EXPECT_EQ(weights.projector.bias.data(), bias.value.view().data());
  EXPECT_EQ(gradients.projector.bias.data(), bias.gradient.view().data());
}

// The file's own memory, or a copy that the checkpoint keeps, and nowhere to add to.
TEST_P(ParametersOf, LeaveFrozenTensorsInTheCheckpoint) {
  Parameters p = parameters(is_of_the_decoder);
  for (const Parameter& parameter : p.all()) EXPECT_TRUE(is_of_the_decoder(parameter.name));
  const auto weights = p.weights();
  const auto gradients = p.gradients();
  EXPECT_FALSE(siglip::is_learned(gradients.vision));
  EXPECT_EQ(gradients.projector.weight.data(), nullptr);
  EXPECT_EQ(gradients.projector.bias.data(), nullptr);
  EXPECT_NE(gradients.text.embedding.data(), nullptr);
  EXPECT_EQ(gradients.vision.blocks.size(), weights.vision.blocks.size());

  // Views into the checkpoint's copies stay good when more is learned from it.
  const std::size_t bytes = bytes_of_checkpoint();
  Parameters all = parameters();
  ASSERT_EQ(bytes_of_checkpoint(), bytes);
  EXPECT_TRUE(close(weights.projector.weight,
                    std::as_const(find(all, "multi_modal_projector.linear.weight").value).view(),
                    kExact));
  EXPECT_TRUE(close(
      View<const float, 2>(weights.vision.post_norm.bias.data(), {1, golden_.config.vision.width}),
      std::as_const(find(all, "vision_tower.post_layernorm.bias").value).view(), kExact));
}

// The head is the table here: one parameter, which serves both.
TEST_P(ParametersOf, HaveATiedTableOnce) {
  ASSERT_TRUE(golden_.config.tied_head);
  Parameters p = parameters();
  const auto weights = p.weights();
  const auto gradients = p.gradients();
  Parameter& table = find(p, "language_model.model.embed_tokens.weight");
  EXPECT_THROW(find(p, "lm_head.weight"), ContractError);
  EXPECT_EQ(weights.text.embedding.data(), table.value.view().data());
  EXPECT_EQ(weights.text.head.weight.data(), table.value.view().data());
  EXPECT_EQ(gradients.text.embedding.data(), table.gradient.view().data());
  EXPECT_EQ(gradients.text.head.weight.data(), table.gradient.view().data());
}

TEST_P(ParametersOf, BeginABatchWithZeros) {
  Parameters p = parameters(), untouched = parameters();
  for (Parameter& parameter : p.all()) {
    const auto gradient = parameter.gradient.view();
    const Buffer<float, 2> zeros(gradient.shape());
    EXPECT_TRUE(close(gradient, zeros.view(), kExact)) << parameter.name;
    std::fill_n(gradient.data(), gradient.count(), 3.0f);
  }
  p.zero();
  for (std::size_t i = 0; i < p.all().size(); ++i) {
    const Parameter& parameter = p.all()[i];
    const Buffer<float, 2> zeros(parameter.gradient.view().shape());
    EXPECT_TRUE(close(parameter.gradient.view(), zeros.view(), kExact)) << parameter.name;
    const Parameter& before = untouched.all()[i];
    EXPECT_TRUE(close(parameter.value.view(), before.value.view(), kExact)) << parameter.name;
  }
}

// Views stay good: the numbers do not move with the object.
TEST_P(ParametersOf, MayBeMoved) {
  Parameters first = parameters();
  const auto weights = first.weights();
  const auto gradients = first.gradients();
  Parameters second = std::move(first);
  EXPECT_EQ(second.weights().text.embedding.data(), weights.text.embedding.data());
  EXPECT_EQ(second.gradients().text.embedding.data(), gradients.text.embedding.data());
  gradients.text.final_norm(0) = 3;
  EXPECT_EQ(find(second, "language_model.model.norm.weight").gradient.view()(0, 0), 3);
  second.zero();
  EXPECT_EQ(gradients.text.final_norm(0), 0);
}

}  // namespace
}  // namespace paligemma
