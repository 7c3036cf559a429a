#include "paligemma/weights.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <nlohmann/json.hpp>

#include "paligemma/presets.h"
#include "tensor/check.h"

namespace paligemma {
namespace {

using nlohmann::json;

Config tiny(bool gemma2, bool tied = true) {
  json object = {{"model_type", "paligemma"},
                 {"image_token_index", 11},
                 {"tie_word_embeddings", tied},
                 {"text_config",
                  {{"model_type", gemma2 ? "gemma2" : "gemma"},
                   {"vocab_size", 11},
                   {"hidden_size", 5},
                   {"intermediate_size", 7},
                   {"num_hidden_layers", 2},
                   {"num_attention_heads", 4},
                   {"num_key_value_heads", 2},
                   {"head_dim", 6},
                   {"query_pre_attn_scalar", 6}}},
                 {"vision_config",
                  {{"image_size", 6},
                   {"patch_size", 2},
                   {"hidden_size", 8},
                   {"intermediate_size", 13},
                   {"num_hidden_layers", 1},
                   {"num_attention_heads", 2}}}};
  return parse_config(object.dump(), "tiny");
}

// Gives every tensor its own number, in its first element.
struct NumberedSource {
  std::map<std::string, float> numbers;
  std::deque<std::vector<float>> memory;

  const float* next(const std::string& name, Index count) {
    numbers[name] = static_cast<float>(numbers.size() + 1);
    memory.emplace_back(static_cast<std::size_t>(count)).front() = numbers[name];
    return memory.back().data();
  }
  View<const float, 2> matrix(const std::string& name, const std::vector<Index>& shape) {
    Index columns = 1;
    for (std::size_t axis = 1; axis < shape.size(); ++axis) columns *= shape[axis];
    return {next(name, shape[0] * columns), {shape[0], columns}};
  }
  View<const float, 1> vector(const std::string& name, Index length) {
    return {next(name, length), {length}};
  }
};

std::map<std::string, std::vector<Index>> shapes_of(const Config& config) {
  std::map<std::string, std::vector<Index>> shapes;
  for (const auto& [name, shape] : expected_tensors(config)) {
    EXPECT_TRUE(shapes.emplace(name, shape).second) << name << " twice";
  }
  return shapes;
}

// docs/paligemma/weights.md, "One model, listed".
TEST(Weights, WorkedExample) {
  using Shape = std::vector<Index>;
  const auto shapes = shapes_of(tiny(false));
  const std::map<std::string, Shape> expected{
      {"vision_tower.embeddings.patch_embedding.weight", {8, 3, 2, 2}},
      {"vision_tower.embeddings.patch_embedding.bias", {8}},
      {"vision_tower.embeddings.position_embedding.weight", {9, 8}},
      {"vision_tower.encoder.layers.0.layer_norm1.weight", {8}},
      {"vision_tower.encoder.layers.0.layer_norm1.bias", {8}},
      {"vision_tower.encoder.layers.0.self_attn.q_proj.weight", {8, 8}},
      {"vision_tower.encoder.layers.0.self_attn.q_proj.bias", {8}},
      {"vision_tower.encoder.layers.0.self_attn.k_proj.weight", {8, 8}},
      {"vision_tower.encoder.layers.0.self_attn.k_proj.bias", {8}},
      {"vision_tower.encoder.layers.0.self_attn.v_proj.weight", {8, 8}},
      {"vision_tower.encoder.layers.0.self_attn.v_proj.bias", {8}},
      {"vision_tower.encoder.layers.0.self_attn.out_proj.weight", {8, 8}},
      {"vision_tower.encoder.layers.0.self_attn.out_proj.bias", {8}},
      {"vision_tower.encoder.layers.0.layer_norm2.weight", {8}},
      {"vision_tower.encoder.layers.0.layer_norm2.bias", {8}},
      {"vision_tower.encoder.layers.0.mlp.fc1.weight", {13, 8}},
      {"vision_tower.encoder.layers.0.mlp.fc1.bias", {13}},
      {"vision_tower.encoder.layers.0.mlp.fc2.weight", {8, 13}},
      {"vision_tower.encoder.layers.0.mlp.fc2.bias", {8}},
      {"vision_tower.post_layernorm.weight", {8}},
      {"vision_tower.post_layernorm.bias", {8}},
      {"multi_modal_projector.linear.weight", {5, 8}},
      {"multi_modal_projector.linear.bias", {5}},
      {"language_model.model.embed_tokens.weight", {11, 5}},
      {"language_model.model.layers.0.self_attn.q_proj.weight", {24, 5}},
      {"language_model.model.layers.0.self_attn.k_proj.weight", {12, 5}},
      {"language_model.model.layers.0.self_attn.v_proj.weight", {12, 5}},
      {"language_model.model.layers.0.self_attn.o_proj.weight", {5, 24}},
      {"language_model.model.layers.0.mlp.gate_proj.weight", {7, 5}},
      {"language_model.model.layers.0.mlp.up_proj.weight", {7, 5}},
      {"language_model.model.layers.0.mlp.down_proj.weight", {5, 7}},
      {"language_model.model.layers.0.input_layernorm.weight", {5}},
      {"language_model.model.layers.0.post_attention_layernorm.weight", {5}},
      {"language_model.model.norm.weight", {5}}};
  for (const auto& [name, shape] : expected) {
    ASSERT_EQ(shapes.count(name), 1u) << name;
    EXPECT_EQ(shapes.at(name), shape) << name;
  }
  EXPECT_EQ(shapes.size(), expected.size() + 9);  // and the second layer's
  EXPECT_EQ(parameter_count(tiny(false)), 1796);
}

TEST(Weights, Gemma2HasTwoMoreNormsInEveryLayer) {
  const auto one = shapes_of(tiny(false)), two = shapes_of(tiny(true));
  EXPECT_EQ(two.size(), one.size() + 2 * 2);
  for (const char* layer : {"0", "1"}) {
    for (const char* norm : {"pre_feedforward_layernorm", "post_feedforward_layernorm"}) {
      const std::string name =
          std::string("language_model.model.layers.") + layer + "." + norm + ".weight";
      EXPECT_EQ(one.count(name), 0u);
      ASSERT_EQ(two.count(name), 1u);
      EXPECT_EQ(two.at(name), std::vector<Index>{5});
    }
  }
  EXPECT_EQ(parameter_count(tiny(true)), parameter_count(tiny(false)) + 4 * 5);
}

TEST(Weights, OfAVisionTowerAreItsOwnAlone) {
  Config config = tiny(false);
  config.text = {};
  const auto plain = shapes_of(config);
  for (const auto& [name, shape] : plain) EXPECT_TRUE(name.starts_with("vision_tower.")) << name;
  config.pooling_head = true;
  const auto with_head = shapes_of(config);
  EXPECT_EQ(with_head.size(), plain.size() + 11);
  using Shape = std::vector<Index>;
  EXPECT_EQ(with_head.at("vision_tower.head.probe"), (Shape{1, 1, 8}));
  EXPECT_EQ(with_head.at("vision_tower.head.attention.in_proj_weight"), (Shape{24, 8}));
  EXPECT_EQ(with_head.at("vision_tower.head.mlp.fc1.weight"), (Shape{13, 8}));
}

TEST(Weights, AHeadOfItsOwnIsOneMoreTensor) {
  const auto tied = shapes_of(tiny(false)), separate = shapes_of(tiny(false, false));
  EXPECT_EQ(tied.count("lm_head.weight"), 0u);
  ASSERT_EQ(separate.count("lm_head.weight"), 1u);
  EXPECT_EQ(separate.at("lm_head.weight"), (std::vector<Index>{11, 5}));
  EXPECT_EQ(parameter_count(tiny(false, false)), parameter_count(tiny(false)) + 55);
}

// Every field is the tensor of its name.
class NumberedModel {
 public:
  explicit NumberedModel(const Config& config)
      : weights(load_weights<HostWeights<float>>(config, source_)) {}
  float of(const std::string& name) const { return source_.numbers.at(name); }
  float of_text(const std::string& name) const { return of("language_model.model." + name); }
  float of_vision(const std::string& name) const { return of("vision_tower." + name); }

 private:
  NumberedSource source_;

 public:
  ModelWeights<HostWeights<float>> weights;
};

TEST(Weights, TheVisionTowerHoldsWhatItsNamesSay) {
  const NumberedModel model(tiny(false));
  const auto& vision = model.weights.vision;
  ASSERT_EQ(vision.blocks.size(), 1u);
  EXPECT_EQ(*vision.patch_embedding.data(), model.of_vision("embeddings.patch_embedding.weight"));
  EXPECT_EQ(vision.patch_embedding.shape(), (std::array<Index, 2>{8, 12}));  // 3 x 2 x 2 in a row
  EXPECT_EQ(*vision.patch_embedding_bias.data(),
            model.of_vision("embeddings.patch_embedding.bias"));
  EXPECT_EQ(*vision.position_embedding.data(),
            model.of_vision("embeddings.position_embedding.weight"));
  EXPECT_EQ(*vision.post_norm.scale.data(), model.of_vision("post_layernorm.weight"));
  EXPECT_EQ(*vision.post_norm.bias.data(), model.of_vision("post_layernorm.bias"));

  const auto& block = vision.blocks[0];
  const auto is = [&](const auto& view, const std::string& name) {
    return *view.data() == model.of_vision("encoder.layers.0." + name);
  };
  EXPECT_TRUE(is(block.norm1.scale, "layer_norm1.weight"));
  EXPECT_TRUE(is(block.norm1.bias, "layer_norm1.bias"));
  EXPECT_TRUE(is(block.norm2.scale, "layer_norm2.weight"));
  EXPECT_TRUE(is(block.norm2.bias, "layer_norm2.bias"));
  const auto& attention = block.self_attention;
  EXPECT_TRUE(is(attention.q.weight, "self_attn.q_proj.weight"));
  EXPECT_TRUE(is(attention.q.bias, "self_attn.q_proj.bias"));
  EXPECT_TRUE(is(attention.k.weight, "self_attn.k_proj.weight"));
  EXPECT_TRUE(is(attention.k.bias, "self_attn.k_proj.bias"));
  EXPECT_TRUE(is(attention.v.weight, "self_attn.v_proj.weight"));
  EXPECT_TRUE(is(attention.v.bias, "self_attn.v_proj.bias"));
  EXPECT_TRUE(is(attention.out.weight, "self_attn.out_proj.weight"));
  EXPECT_TRUE(is(attention.out.bias, "self_attn.out_proj.bias"));
  EXPECT_TRUE(is(block.mlp.fc1.weight, "mlp.fc1.weight"));
  EXPECT_TRUE(is(block.mlp.fc1.bias, "mlp.fc1.bias"));
  EXPECT_TRUE(is(block.mlp.fc2.weight, "mlp.fc2.weight"));
  EXPECT_TRUE(is(block.mlp.fc2.bias, "mlp.fc2.bias"));
}

TEST(Weights, TheLanguageModelHoldsWhatItsNamesSay) {
  for (bool gemma2 : {false, true}) {
    const NumberedModel model(tiny(gemma2));
    const auto& text = model.weights.text;
    EXPECT_EQ(*model.weights.projector.weight.data(),
              model.of("multi_modal_projector.linear.weight"));
    EXPECT_EQ(*model.weights.projector.bias.data(), model.of("multi_modal_projector.linear.bias"));
    EXPECT_EQ(*text.embedding.data(), model.of_text("embed_tokens.weight"));
    EXPECT_EQ(*text.final_norm.data(), model.of_text("norm.weight"));
    ASSERT_EQ(text.blocks.size(), 2u);
    for (std::size_t i : {0u, 1u}) {
      const auto& block = text.blocks[i];
      const auto is = [&](const auto& view, const std::string& name) {
        return *view.data() ==
               model.of_text("layers." + std::to_string(i) + "." + name + ".weight");
      };
      EXPECT_TRUE(is(block.self_attention.q.weight, "self_attn.q_proj"));
      EXPECT_TRUE(is(block.self_attention.k.weight, "self_attn.k_proj"));
      EXPECT_TRUE(is(block.self_attention.v.weight, "self_attn.v_proj"));
      EXPECT_TRUE(is(block.self_attention.out.weight, "self_attn.o_proj"));
      EXPECT_TRUE(is(block.mlp.gate.weight, "mlp.gate_proj"));
      EXPECT_TRUE(is(block.mlp.up.weight, "mlp.up_proj"));
      EXPECT_TRUE(is(block.mlp.down.weight, "mlp.down_proj"));
      EXPECT_TRUE(is(block.pre_attention_norm, "input_layernorm"));
    }
  }
}

// One name, two places: before the MLP in Gemma 1, behind attention in Gemma 2.
TEST(Weights, PostAttentionLayernormIsNotTheSameNormInBothGenerations) {
  const std::string layer = "layers.1.";
  const NumberedModel one(tiny(false));
  const auto& old_block = one.weights.text.blocks[1];
  EXPECT_EQ(*old_block.pre_mlp_norm.data(), one.of_text(layer + "post_attention_layernorm.weight"));
  EXPECT_EQ(old_block.post_attention_norm.count(), 0);
  EXPECT_EQ(old_block.post_mlp_norm.count(), 0);

  const NumberedModel two(tiny(true));
  const auto& block = two.weights.text.blocks[1];
  EXPECT_EQ(*block.post_attention_norm.data(),
            two.of_text(layer + "post_attention_layernorm.weight"));
  EXPECT_EQ(*block.pre_mlp_norm.data(), two.of_text(layer + "pre_feedforward_layernorm.weight"));
  EXPECT_EQ(*block.post_mlp_norm.data(), two.of_text(layer + "post_feedforward_layernorm.weight"));
}

TEST(Weights, ATiedHeadIsTheEmbeddingItself) {
  const NumberedModel tied(tiny(false)), separate(tiny(false, false));
  EXPECT_EQ(tied.weights.text.head.weight.data(), tied.weights.text.embedding.data());
  EXPECT_EQ(*separate.weights.text.head.weight.data(), separate.of("lm_head.weight"));
}

}  // namespace
}  // namespace paligemma
