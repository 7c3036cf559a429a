#include "train/parameters.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>
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

// Zeros, which learn as all others do; the model does not read them.
TEST_P(ParametersOf, MayHaveOthersBesideTheModels) {
  Parameters p = parameters();
  const std::size_t of_model = p.all().size();
  const auto weights = p.weights();
  Parameter& head = p.add("dense_head.weight", {3, 5});
  EXPECT_EQ(head.shape, (std::vector<Index>{3, 5}));
  EXPECT_TRUE(head.is_matrix());
  EXPECT_TRUE(close(head.value.view(), Buffer<float, 2>({3, 5}).view(), kExact));
  head.value.view()(1, 2) = 7;
  head.gradient.view()(1, 2) = 8;
  const float* const place = head.value.view().data();
  for (const char* name : {"dense_head.bias", "another.weight", "a third.weight"}) p.add(name, {3});

  Parameter* const found = p.find("dense_head.weight");  // `head` itself may have moved
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->value.view().data(), place);
  EXPECT_EQ(found->value.view()(1, 2), 7);
  EXPECT_EQ(found->gradient.view()(1, 2), 8);
  EXPECT_EQ(p.find("dense_head.bias")->value.view().shape(), (std::array<Index, 2>{1, 3}));
  EXPECT_EQ(p.find("dense_head"), nullptr);
  EXPECT_EQ(p.all().size(), of_model + 4);
  EXPECT_EQ(p.all()[of_model].name, "dense_head.weight");
  p.zero();
  EXPECT_EQ(found->gradient.view()(1, 2), 0);
  EXPECT_EQ(found->value.view()(1, 2), 7);
  EXPECT_EQ(p.find("language_model.model.norm.weight")->value.view().data(),
            weights.text.final_norm.data());
}

// ---- another type ----------------------------------------------------------------------------------

template <class Real>
Buffer<Real, 2> rounded(const Parameter& parameter) {
  const auto value = parameter.value.view();
  Buffer<Real, 2> all(value.shape());
  for (Index i = 0; i < value.count(); ++i) all.view().data()[i] = narrow<Real>(value.data()[i]);
  return all;
}

// Each is rounded once, at first and behind each step, where the model has it already.
template <class Real>
void expect_rounded(Parameters& p, const Parameter& matrix, const Parameter& vector) {
  const auto weights = p.weights<Real>();
  const auto expect_now = [&] {
    EXPECT_TRUE(close(weights.text.blocks[1].mlp.up.weight, rounded<Real>(matrix).view(), kExact));
    EXPECT_TRUE(close(
        View<const Real, 2>(weights.text.final_norm.data(), {1, weights.text.final_norm.size(0)}),
        rounded<Real>(vector).view(), kExact));
  };
  expect_now();
  for (Parameter& parameter : p.all()) {
    const auto value = parameter.value.view();
    for (Index i = 0; i < value.count(); ++i) {
      value.data()[i] += 1e-3f * static_cast<float>(i % 7) + 0.1f;
    }
  }
  p.refresh();
  expect_now();
}
TEST_P(ParametersOf, AreRoundedForAModelOfAnotherType) {
  Parameters first = parameters(), second = parameters();
  for (Parameters* p : {&first, &second}) {
    const Parameter& matrix = find(*p, "language_model.model.layers.1.mlp.up_proj.weight");
    const Parameter& vector = find(*p, "language_model.model.norm.weight");
    if (p == &first) {
      expect_rounded<bf16>(*p, matrix, vector);
    } else {
      expect_rounded<f16>(*p, matrix, vector);
    }
  }
}

// Version 2's file is bf16: what is frozen is read where it lies.
TEST_P(ParametersOf, LeaveFrozenTensorsOfTheModelsTypeMapped) {
  Parameters p = parameters(is_of_the_decoder);
  const auto weights = p.weights<bf16>();
  const WeightEntry& entry = golden_.checkpoint.tensors().at("multi_modal_projector.linear.weight");
  const auto* stored = reinterpret_cast<const bf16*>(entry.bytes.data());
  EXPECT_EQ(weights.projector.weight.data() == stored, GetParam() == 2);
}

bool is_of_the_tower(const std::string& name) { return name.starts_with("vision_tower."); }

// Blocks are the file's, or made of it; what is learned beside them is rounded.
TEST_P(ParametersOf, MayStandBesideBlocks) {
  Parameters p = parameters(is_of_the_tower);
  const auto weights = p.weights<Int8Block>();
  Parameter& fc1 = find(p, "vision_tower.encoder.layers.0.mlp.fc1.weight");
  const auto expect_now = [&] {
    EXPECT_TRUE(close(weights.vision.blocks[0].mlp.fc1.weight, rounded<bf16>(fc1).view(), kExact));
  };
  expect_now();
  fc1.value.view()(0, 1) += 0.5f;
  p.refresh();
  expect_now();
  const auto up = weights.text.blocks[0].mlp.up.weight;
  Buffer<float, 1> row({golden_.config.text.width}), stored(row.view().shape());
  dequantize_row(up.row(3), row.view());
  read_row(golden_.checkpoint.tensors().at("language_model.model.layers.0.mlp.up_proj.weight"), 3,
           {stored.view().data(), static_cast<std::size_t>(stored.view().count())});
  EXPECT_TRUE(close(row.view(), stored.view(), {0, up(3, 0).scale}));
}

TEST_P(ParametersOf, AreNoBlocks) {
  Parameters p = parameters(is_of_the_decoder);
  EXPECT_THROW(p.weights<Int8Block>(), ContractError);
  EXPECT_THROW(p.weights<Int4Block>(), ContractError);
}

// ---- adapters --------------------------------------------------------------------------------------

class AdaptersOf : public ParametersOf {
 protected:
  static LoraRule rule(const std::string& targets) {
    return {.rank = 3, .alpha = 2, .is_target = lora_targets(targets), .seed = 5};
  }
  Parameters adapters(const std::string& targets) {
    return {golden_.checkpoint, golden_.config, rule(targets)};
  }
  static std::string name_of(const std::string& layer, const std::string& half) {
    return "base_model.model.model." + layer + ".lora_" + half + ".weight";
  }
};
INSTANTIATE_TEST_SUITE_P(Golden, AdaptersOf, ::testing::Values(1, 2));

// Seven layers of each of the decoder's blocks, six of each of the tower's, and the projector.
TEST_P(AdaptersOf, AreTwoMatricesOfEachLayer) {
  Parameters p = adapters("all-linear");
  const Index layers = 7 * golden_.config.text.layers + 6 * golden_.config.vision.layers + 1;
  EXPECT_EQ(static_cast<Index>(p.all().size()), 2 * layers);
  EXPECT_EQ(static_cast<Index>(p.adapted_layers().size()), layers);
  std::set<float> firsts;
  for (std::size_t i = 0; i < p.all().size(); i += 2) {
    const Parameter &a = p.all()[i], &b = p.all()[i + 1];
    ASSERT_TRUE(a.name.ends_with(".lora_A.weight")) << a.name;
    ASSERT_EQ(b.name, a.name.substr(0, a.name.size() - 8) + "B.weight");
    EXPECT_EQ(a.value.view().size(0), 3);
    EXPECT_EQ(a.shape, (std::vector<Index>{3, a.value.view().size(1)}));
    EXPECT_EQ(b.shape, (std::vector<Index>{b.value.view().size(0), 3}));
    EXPECT_EQ(b.gradient.view().shape(), b.value.view().shape());
    const Buffer<float, 2> zeros(b.value.view().shape());
    EXPECT_TRUE(close(b.value.view(), zeros.view(), kExact)) << b.name;
    Buffer<float, 2> drawn(a.value.view().shape());
    begin_lora(5, static_cast<std::uint32_t>(i / 2), drawn.view());
    EXPECT_TRUE(close(a.value.view(), drawn.view(), kExact)) << a.name;
    firsts.insert(a.value.view()(0, 0));
  }
  EXPECT_EQ(static_cast<Index>(firsts.size()), layers);
}

TEST_P(AdaptersOf, AreOfTheLayersThatAreAskedFor) {
  Parameters p = adapters("v_proj,linear");
  EXPECT_EQ(static_cast<Index>(p.all().size()),
            2 * (golden_.config.text.layers + golden_.config.vision.layers + 1));
  const Parameter& a = find(p, name_of("language_model.layers.1.self_attn.v_proj", "A"));
  const Parameter& b = find(p, name_of("language_model.layers.1.self_attn.v_proj", "B"));
  EXPECT_EQ(a.shape, (std::vector<Index>{3, golden_.config.text.width}));
  EXPECT_EQ(b.shape[0], golden_.config.text.kv_heads * golden_.config.text.head_size);
  const auto layers = p.adapted_layers();
  EXPECT_EQ(std::ranges::count(layers, "language_model.model.layers.1.self_attn.v_proj"), 1);
  for (const char* none : {"norm", "embed_tokens", "patch_embedding", "position_embedding"}) {
    EXPECT_THROW(adapters(none), std::invalid_argument) << none;
  }
  EXPECT_THROW(adapters("all_linear"), std::invalid_argument);  // a name, and of no layer
}

// What the model reads and adds to: A as it is, B turned and scaled behind each step.
TEST_P(AdaptersOf, AreWhatCompositesSee) {
  Parameters p = adapters("q_proj");
  const auto weights = p.weights();
  const auto gradients = p.gradients();
  Parameter& a = find(p, name_of("language_model.layers.1.self_attn.q_proj", "A"));
  Parameter& b = find(p, name_of("language_model.layers.1.self_attn.q_proj", "B"));
  const auto* read = weights.text.blocks[1].self_attention.q.adapter;
  const auto* sums = gradients.text.blocks[1].self_attention.q.adapter;
  ASSERT_NE(read, nullptr);
  ASSERT_NE(sums, nullptr);
  EXPECT_EQ(weights.text.blocks[1].self_attention.k.adapter, nullptr);
  EXPECT_EQ(gradients.text.blocks[1].self_attention.k.adapter, nullptr);
  EXPECT_EQ(gradients.text.blocks[1].self_attention.q.weight.data(), nullptr);
  EXPECT_TRUE(siglip::is_learned(gradients.vision));
  EXPECT_EQ(read->a.data(), a.value.view().data());
  EXPECT_EQ(sums->a.data(), a.gradient.view().data());

  const auto B = b.value.view();
  for (Index i = 0; i < B.count(); ++i) B.data()[i] = static_cast<float>(i);
  p.refresh();
  for (Index o = 0; o < B.size(0); ++o) {
    for (Index k = 0; k < 3; ++k) EXPECT_EQ(read->b(k, o), 2.0f / 3 * B(o, k));
  }
  p.zero();
  sums->b(2, 1) += 6;
  sums->a(0, 0) += 5;
  for ([[maybe_unused]] const int twice : {0, 1}) {  // nothing is added up here
    p.collect();
    EXPECT_EQ(b.gradient.view()(1, 2), 2.0f / 3 * 6);
    EXPECT_EQ(b.gradient.view()(0, 0), 0);
    EXPECT_EQ(a.gradient.view()(0, 0), 5);
  }
  p.zero();
  p.collect();
  EXPECT_EQ(b.gradient.view()(1, 2), 0);
  EXPECT_EQ(a.gradient.view()(0, 0), 0);
}

// The bias of a layer stays as it is, and is the adapter's.
TEST_P(AdaptersOf, HaveTheBiasOfTheirLayer) {
  Parameters p = adapters("fc1,up_proj");
  const auto weights = p.weights();
  const auto& fc1 = weights.vision.blocks[1].mlp.fc1;
  ASSERT_NE(fc1.adapter, nullptr);
  EXPECT_EQ(fc1.bias.data(), nullptr);
  const auto bias =
      all_as_floats(golden_.checkpoint.tensors().at("vision_tower.encoder.layers.1.mlp.fc1.bias"));
  EXPECT_TRUE(std::ranges::equal(
      bias,
      std::span(fc1.adapter->bias.data(), static_cast<std::size_t>(fc1.adapter->bias.size(0)))));
  EXPECT_EQ(weights.text.blocks[0].mlp.up.adapter->bias.data(), nullptr);
  EXPECT_EQ(p.gradients().vision.blocks[1].mlp.fc1.adapter->bias.data(), nullptr);
}

// They are floats whatever the model is read as, and have no rounded copies.
TEST_P(AdaptersOf, AreFloatsBesideEveryType) {
  Parameters p = adapters("all-linear");
  const auto expect = [&](const auto& weights) {
    const auto* up = weights.text.blocks[0].mlp.up.adapter;
    ASSERT_NE(up, nullptr);
    Parameter& a = find(p, name_of("language_model.layers.0.mlp.up_proj", "A"));
    EXPECT_EQ(up->a.data(), a.value.view().data());
    ASSERT_NE(weights.vision.blocks[0].mlp.fc1.adapter, nullptr);
    for (const Parameter& parameter : p.all()) {
      EXPECT_EQ(parameter.rounded.view().count(), 0) << parameter.name;
    }
  };
  expect(p.weights<bf16>());
  expect(p.weights<f16>());
  expect(p.weights<Int8Block>());
  expect(p.weights<Int4Block>());
}

TEST_P(AdaptersOf, MayBeMoved) {
  Parameters first = adapters("q_proj");
  const auto weights = first.weights();
  Parameters second = std::move(first);
  Parameter& b = find(second, name_of("language_model.layers.0.self_attn.q_proj", "B"));
  b.value.view()(1, 0) = 3;
  second.refresh();
  EXPECT_EQ(weights.text.blocks[0].self_attention.q.adapter->b(0, 1), 2);
}

}  // namespace
}  // namespace paligemma
