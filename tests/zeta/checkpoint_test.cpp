#include "zeta/checkpoint.h"

#include <gtest/gtest.h>

#include "tensor/errors.h"
#include "tests/support/data.h"
#include "tests/support/error_text.h"
#include "tests/support/safetensors_writer.h"
#include "tests/support/temporary_folder.h"

namespace paligemma {
namespace {

using namespace test;
using nlohmann::json;

using Numbers = std::vector<float>;
struct Stored {
  std::vector<Index> shape;
  Numbers numbers;
};
using Tensors = std::map<std::string, Stored>;

json small_palme() {
  return {{"architectures", {"PalmE"}},
          {"image_size", 8},
          {"patch_size", 4},
          {"encoder_dim", 6},
          {"encoder_depth", 1},
          {"encoder_heads", 1},
          {"num_tokens", 5},
          {"max_seq_len", 7},
          {"decoder_dim", 6},
          {"decoder_depth", 1},
          {"decoder_heads", 1},
          {"alibi_num_heads", 1}};
}
json small_transformer() {
  return {{"architectures", {"ZetaTransformer"}},
          {"num_tokens", 5},
          {"max_seq_len", 7},
          {"attn_layers",
           {{"type", "Decoder"}, {"dim", 6}, {"depth", 1}, {"heads", 1}, {"attn_dim_head", 4}}}};
}
zeta::Config parsed(const json& config) { return zeta::parse_config(config.dump(), "config.json"); }

const std::string kWords = "token_emb.emb.weight";
const std::string kFrequencies = "decoder.net.attn_layers.rotary_pos_emb.inv_freq";
const std::string kStretches = "decoder.net.attn_layers.rotary_pos_emb.scale";

Tensors tensors_of(const zeta::Config& config) {
  Tensors tensors;
  for (const auto& [name, shape] : zeta::expected_tensors(config)) {
    Index count = 1;
    for (const Index axis : shape) count *= axis;
    const auto numbers = random<float, 1>({count}, static_cast<unsigned>(tensors.size()));
    tensors[name] = {shape, Numbers(numbers.view().data(), numbers.view().data() + count)};
  }
  return tensors;
}

class ZetaCheckpoint : public ::testing::Test {
 protected:
  void write(const Tensors& tensors, const std::string& in_front = "",
             const std::string& file = "model.safetensors") {
    SafetensorsWriter writer;
    for (const auto& [name, tensor] : tensors) {
      writer.add<float>(in_front + name, tensor.shape, tensor.numbers);
    }
    writer.write(folder_ / file);
  }
  zeta::Checkpoint open() const { return {folder_.path(), config_}; }
  std::string refusal() const {
    return error_text<ModelFileError>([&] { open(); });
  }

  TemporaryFolder folder_;
  zeta::Config config_ = parsed(small_transformer());
  Tensors tensors_ = tensors_of(config_);
};

// docs/zeta/checkpoint.md, "One file".
TEST_F(ZetaCheckpoint, WorkedExample) {
  write(tensors_);
  const zeta::Checkpoint checkpoint = open();
  EXPECT_EQ(checkpoint.numbers(kWords), tensors_.at(kWords).numbers);
  EXPECT_EQ(checkpoint.tensor_count(), static_cast<Index>(tensors_.size()));
  EXPECT_EQ(checkpoint.format(), WeightFormat::f32);
  EXPECT_TRUE(checkpoint.trained());
  // Words and positions, self-attention and feed-forward with their norms, the last norm, the head.
  EXPECT_EQ(zeta::parameter_count(config_), 5 * 6 + 7 * 6 + 2 * 6 + 4 * 6 * 4 + 2 * 6 + 6 * 24 +
                                                24 + 24 * 6 + 6 + 2 * 6 + 5 * 6 + 5);
}

TEST_F(ZetaCheckpoint, MayBeNamedByAFile) {
  write(tensors_, "", "other.safetensors");
  EXPECT_NO_THROW(zeta::Checkpoint(folder_ / "other.safetensors", config_));
  EXPECT_TRUE(holds(error_text<NotFoundError>([&] { open(); }), "model.safetensors"));
  write(tensors_);
  write_text(folder_ / "config.json", "{}");
  EXPECT_NO_THROW(zeta::Checkpoint(folder_ / "config.json", config_));
}

TEST_F(ZetaCheckpoint, MayBeOfAWrapper) {
  write(tensors_, "net.");
  EXPECT_EQ(open().numbers(kWords), tensors_.at(kWords).numbers);
  Tensors twice = tensors_;
  twice["net." + kWords] = twice.at(kWords);
  write(twice);
  EXPECT_TRUE(holds(refusal(), kWords, "there twice"));
}

TEST_F(ZetaCheckpoint, MustHoldEveryTensorAndNoOther) {
  Tensors fewer = tensors_;
  fewer.erase("to_logits.bias");
  write(fewer);
  EXPECT_TRUE(holds(refusal(), "to_logits.bias", "is missing"));
  Tensors more = tensors_;
  more["attn_layers.layers.9.1.to_q.weight"] = {{1}, {0}};
  write(more);
  EXPECT_TRUE(holds(refusal(), "layers.9.1.to_q.weight", "not part of this model"));
  Tensors other = tensors_;
  other.at(kWords).shape = {6, 5};
  write(other);
  EXPECT_TRUE(holds(refusal(), kWords, "[6, 5]", "[5, 6]"));
}

TEST_F(ZetaCheckpoint, EveryTypeIsReadAsItIs) {
  SafetensorsWriter writer;
  for (const auto& [name, tensor] : tensors_) {
    std::vector<bf16> numbers;
    for (const float x : tensor.numbers) numbers.push_back(narrow<bf16>(x));
    std::vector<f16> halves;
    for (const float x : tensor.numbers) halves.push_back(narrow<f16>(x));
    if (name == kWords) {
      writer.add<f16>(name, tensor.shape, halves);
    } else {
      writer.add<bf16>(name, tensor.shape, numbers);
    }
  }
  writer.add_metadata("trained", "false").write(folder_ / "model.safetensors");
  const zeta::Checkpoint checkpoint = open();
  EXPECT_EQ(checkpoint.format(), WeightFormat::bf16);
  EXPECT_FALSE(checkpoint.trained());
  for (const auto& [name, tensor] : tensors_) {
    for (std::size_t i = 0; i < tensor.numbers.size(); ++i) {
      const float x = tensor.numbers[i];
      EXPECT_EQ(checkpoint.numbers(name)[i],
                name == kWords ? widen(narrow<f16>(x)) : widen(narrow<bf16>(x)));
    }
  }
}

TEST_F(ZetaCheckpoint, MustHoldNumbers) {
  for (const float wrong : {NAN, INFINITY, -INFINITY}) {
    Tensors tensors = tensors_;
    tensors.at(kWords).numbers.back() = wrong;
    write(tensors);
    EXPECT_TRUE(holds(error_text<ModelFileError>([&] { open().numbers(kWords); }), kWords, "NaN"));
  }
  SafetensorsWriter writer;
  for (const auto& [name, tensor] : tensors_) writer.add_zeros<double>(name, tensor.shape);
  writer.write(folder_ / "model.safetensors");
  EXPECT_TRUE(holds(refusal(), "is f64", "f32, bf16 or f16"));
}

// As PyTorch computes them: 10000^(-2j/R) and (2j + 0.4 R) / (1.4 R), of 32 channels.
class ZetaBuffers : public ZetaCheckpoint {
 protected:
  ZetaBuffers() {
    config_ = parsed(small_palme());
    tensors_ = tensors_of(config_);
    Numbers frequencies, stretches;
    for (int j = 0; j < 16; ++j) {
      frequencies.push_back(1 / std::pow(10000.0f, static_cast<float>(2 * j) / 32));
      stretches.push_back((static_cast<float>(2 * j) + 0.4f * 32) / (1.4f * 32));
    }
    tensors_[kFrequencies] = {{16}, frequencies};
    tensors_[kStretches] = {{16}, stretches};
  }
};

TEST_F(ZetaBuffers, AreComparedAndLeftOut) {
  write(tensors_);
  EXPECT_EQ(open().tensor_count(), static_cast<Index>(tensors_.size()) - 2);
  tensors_.erase(kFrequencies);
  write(tensors_);
  EXPECT_NO_THROW(open());
}

TEST_F(ZetaBuffers, OfAnotherModelAreRefused) {
  for (const std::string& name : {kFrequencies, kStretches}) {
    Tensors other = tensors_;
    other.at(name).numbers[5] *= 1 + 6 * 0x1p-23f;
    write(other);
    EXPECT_TRUE(holds(refusal(), name, "not what config.json makes it"));
    other = tensors_;
    other.at(name).numbers.pop_back();
    other.at(name).shape = {15};
    write(other);
    EXPECT_TRUE(holds(refusal(), name, "not what config.json makes it"));
  }
  json plain = small_palme();
  plain["rotary_xpos"] = false;
  config_ = parsed(plain);
  write(tensors_);
  EXPECT_TRUE(holds(refusal(), "rotary_pos_emb", "not part of this model"));
}

TEST_F(ZetaBuffers, APalmEHasTwoParts) {
  EXPECT_TRUE(tensors_.contains("encoder.patch_to_embedding.1.weight"));
  EXPECT_TRUE(tensors_.contains("decoder.net.token_emb.emb.weight"));
  EXPECT_TRUE(tensors_.contains("decoder.net.attn_layers.layers.1.1.to_k.weight"));
}

}  // namespace
}  // namespace paligemma
