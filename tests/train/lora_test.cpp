#include "train/lora.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <vector>

#include "paligemma/adapter_config.h"
#include "paligemma/config.h"
#include "paligemma/weights.h"
#include "tensor/lora.h"
#include "tensor/pattern.h"
#include "tensor/safetensors.h"
#include "tests/support/data.h"
#include "tests/support/error_text.h"
#include "tests/support/gradients.h"
#include "tests/support/source_dir.h"
#include "tests/support/temporary_folder.h"

namespace paligemma {
namespace {

using namespace test;

// Gradients of A and B [O, r], by way of b.
struct Learned {
  Buffer<float, 2> dx, da, db;
};
Learned backward(const Buffer<float, 2>& x, const Buffer<float, 2>& a,
                 const Buffer<float, 2>& big_b, float scale, const Buffer<float, 2>& dy) {
  const Index r = a.view().size(0), O = big_b.view().size(0);
  Buffer<float, 2> b({r, O}), db({r, O});
  turn_lora(big_b.view(), scale, b.view());
  Learned d{Buffer<float, 2>(x.view().shape()), Buffer<float, 2>(a.view().shape()),
            Buffer<float, 2>({O, r})};
  const Lora<HostGradients> dw{d.da.view(), db.view()};
  lora_backward(reference, x.view(), Lora<HostWeights<float>>{a.view(), std::as_const(b).view()},
                dy.view(), d.dx.view(), &dw);
  turn_lora(std::as_const(db).view(), scale, d.db.view());
  return d;
}

// docs/train/lora.md, "By hand": rank 2, alpha 4.
TEST(LearnedLora, WorkedExample) {
  const LoraRule rule{.rank = 2, .alpha = 4};
  EXPECT_EQ(rule.scale(), 2);
  const auto x = rows_of({{1, 2}}), a = rows_of({{1, -1}, {2, 1}}), dy = rows_of({{1, -1, 2}});
  const Buffer<float, 2> zeros({3, 2});
  const Learned first = backward(x, a, zeros, rule.scale(), dy);
  EXPECT_TRUE(close(first.da.view(), rows_of({{0, 0}, {0, 0}}).view(), kExact));
  EXPECT_TRUE(close(first.db.view(), rows_of({{-2, 8}, {2, -8}, {-4, 16}}).view(), kExact));

  const auto big_b = rows_of({{0.5, -2}, {-0.5, 2}, {1, -4}});
  Buffer<float, 2> b({2, 3});
  turn_lora(big_b.view(), rule.scale(), b.view());
  EXPECT_TRUE(close(b.view(), rows_of({{1, -1, 2}, {-4, 4, -8}}).view(), kExact));
  const Learned second = backward(x, a, big_b, rule.scale(), dy);
  EXPECT_TRUE(close(second.dx.view(), rows_of({{-42, -30}}).view(), kExact));
  EXPECT_TRUE(close(second.da.view(), rows_of({{6, 12}, {-24, -48}}).view(), kExact));
  EXPECT_TRUE(close(second.db.view(), first.db.view(), kExact));
}

// y[t,o] = alpha / r sum_k B[o,k] sum_i A[k,i] x[t,i]
TEST(LearnedLora, GradientsAreTheSlopeOfTheDefinition) {
  struct Size {
    Index T, I, O, r;
  };
  for (const auto [T, I, O, r] :
       {Size{1, 1, 1, 1}, Size{3, 7, 5, 2}, Size{5, 9, 3, 4}, Size{2, 17, 33, 3}}) {
    const float scale = LoraRule{.rank = r, .alpha = 3}.scale();
    const auto x = random<float, 2>({T, I}, 1), a = random<float, 2>({r, I}, 2),
               b = random<float, 2>({O, r}, 3), dy = random<float, 2>({T, O}, 4);
    const auto y = [&, T_ = T, I_ = I, O_ = O, r_ = r](const Doubles& A, const Doubles& B) {
      Doubles sums;
      for (Index t = 0; t < T_; ++t) {
        for (Index o = 0; o < O_; ++o) {
          double sum = 0;
          for (Index k = 0; k < r_; ++k) {
            for (Index i = 0; i < I_; ++i) sum += B[o * r_ + k] * A[k * I_ + i] * x.view()(t, i);
          }
          sums.push_back(3 * sum / static_cast<double>(r_));
        }
      }
      return sums;
    };
    const Learned d = backward(x, a, b, scale, dy);
    const auto of_a = [&](const Doubles& at) { return y(at, doubles(b)); };
    const auto of_b = [&](const Doubles& at) { return y(doubles(a), at); };
    EXPECT_TRUE(is_gradient(d.da, gradient_of(of_a, doubles(a), doubles(dy)), T + O + 1));
    EXPECT_TRUE(is_gradient(d.db, gradient_of(of_b, doubles(b), doubles(dy)), T + I + 1));
  }
}

TEST(LearnedLora, RefusesToTurnIntoAnotherShape) {
  const Buffer<float, 2> b({3, 2});
  Buffer<float, 2> turned({2, 3}), same({3, 2}), short_one({2, 2}), narrow({1, 3});
  EXPECT_NO_THROW(turn_lora(b.view(), 1, turned.view()));
  EXPECT_THROW(turn_lora(b.view(), 1, same.view()), ContractError);
  EXPECT_THROW(turn_lora(b.view(), 1, short_one.view()), ContractError);
  EXPECT_THROW(turn_lora(b.view(), 1, narrow.view()), ContractError);
}

// ---- first values ----------------------------------------------------------------------------------

Buffer<float, 2> drawn(std::uint64_t seed, std::uint32_t layer, std::array<Index, 2> shape) {
  Buffer<float, 2> A(shape);
  begin_lora(seed, layer, A.view());
  return A;
}

// The same on every machine: multiples of 2^-23, times a bound of 1 / 4 here.
TEST(LearnedLora, BeginsWithTheseNumbers) {
  const auto A = drawn(7, 2, {2, 16});
  EXPECT_EQ(A.view()(0, 0) * 0x1p25f, 3997668.0f);
  EXPECT_EQ(A.view()(0, 1) * 0x1p25f, -7409787.0f);
  EXPECT_EQ(A.view()(1, 15) * 0x1p25f, -6127746.0f);
}

// As many numbers as these have a mean within 4 of its own standard deviations, and a mean square as well.
TEST(LearnedLora, IsUniformWithinOneOverTheRootOfTheInputs) {
  const Index I = 1152;
  const double bound = 1 / std::sqrt(static_cast<double>(I));
  const auto A = drawn(1, 0, {64, I});
  double sum = 0, squares = 0, least = 1, most = -1;
  for (const double number : doubles(A)) {
    sum += number / bound;
    squares += number / bound * (number / bound);
    least = std::min(least, number / bound);
    most = std::max(most, number / bound);
  }
  const auto n = static_cast<double>(A.view().count());
  EXPECT_LT(std::abs(sum / n), 4 * std::sqrt(1 / (3 * n)));
  EXPECT_LT(std::abs(squares / n - 1.0 / 3), 4 * std::sqrt(4 / (45 * n)));
  EXPECT_NEAR(least, -1, 1e-3);
  EXPECT_GE(least, -1 - kUnitRoundoff * 4);
  EXPECT_NEAR(most, 1, 1e-3);
  EXPECT_LE(most, 1);
}

TEST(LearnedLora, HasOtherNumbersForEachLayerAndSeed) {
  std::set<float> firsts, all;
  for (const std::uint64_t seed : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1} << 32}) {
    for (const std::uint32_t layer : {0u, 1u, 2u}) {
      firsts.insert(drawn(seed, layer, {1, 4}).view()(0, 0));
    }
  }
  EXPECT_EQ(firsts.size(), 9u);
  const auto A = drawn(3, 1, {8, 16});
  for (Index i = 0; i < A.view().count(); ++i) all.insert(A.view().data()[i]);
  EXPECT_EQ(all.size(), 128u);
}

// ---- names -----------------------------------------------------------------------------------------

// A golden checkpoint's linear layers, and what PEFT made adapters of.
struct GoldenLayers {
  std::filesystem::path folder;
  std::vector<std::string> layers;

  explicit GoldenLayers(int version)
      : folder(source_dir() + "/tests/golden/paligemma" + std::to_string(version)) {
    for (const ExpectedTensor& tensor : expected_tensors(read_config(folder))) {
      const bool is_table = tensor.name.find("embed") != std::string::npos;
      if (tensor.shape.size() != 2 || is_table) continue;
      layers.push_back(tensor.name.substr(0, tensor.name.rfind('.')));
    }
  }
  std::set<std::string> modules_of(const std::string& targets) const {
    const auto is_target = lora_targets(targets);
    std::set<std::string> modules;
    for (const std::string& layer : layers) {
      if (is_target(layer)) modules.insert(peft_module(layer));
    }
    return modules;
  }
  std::set<std::string> modules_in(const std::string& adapter) const {
    const SafetensorsFile file(folder / "adapters" / adapter / "adapter_model.safetensors");
    std::set<std::string> modules;
    for (const auto& [name, entry] : file.tensors()) {
      if (name.ends_with(".lora_A.weight")) modules.insert(name.substr(0, name.size() - 14));
    }
    return modules;
  }
};

// tools/peft_adapters.py says which targets these had.
TEST(LearnedLora, HasThePeftsTargetsAndNames) {
  const GoldenLayers one(1), two(2);
  EXPECT_EQ(one.modules_in("all_linear").size(), 34u);
  EXPECT_EQ(one.modules_of("all-linear"), one.modules_in("all_linear"));
  EXPECT_EQ(two.modules_of("all-linear"), two.modules_in("all_linear"));
  EXPECT_EQ(one.modules_of("q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj"),
            one.modules_in("language"));
  EXPECT_EQ(one.modules_of("fc1,out_proj,linear"), one.modules_in("lora_bias"));
  EXPECT_EQ(one.modules_of(".*language_model.*\\.(q|o)_proj"), one.modules_in("expression"));
}

TEST(LearnedLora, IsOfLayersByNameOrItsEnd) {
  const std::string layer = "language_model.model.layers.1.mlp.up_proj";
  for (const char* name :
       {"up_proj", "mlp.up_proj", "1.mlp.up_proj", "language_model.model.layers.1.mlp.up_proj",
        "model.layers.1.mlp.up_proj", "model.language_model.layers.1.mlp.up_proj",
        "language_model.layers.1.mlp.up_proj", "q_proj,up_proj", "up_proj,q_proj"}) {
    EXPECT_TRUE(lora_targets(name)(layer)) << name;
  }
  for (const char* name :
       {"proj", "p.up_proj", "up", "mlp", "layers.1", "q_proj,", "", ",", "up_proj.",
        "base_model.model.model.language_model.layers.1.mlp.up_proj", "all_linear"}) {
    EXPECT_FALSE(lora_targets(name)(layer)) << name;
  }
  EXPECT_TRUE(lora_targets("lm_head")("lm_head"));
  EXPECT_FALSE(lora_targets("all-linear")("lm_head"));
}

// Of all of a name, as Python's re.fullmatch: of the checkpoint's or of the one in memory.
TEST(LearnedLora, IsOfLayersByARegularExpression) {
  const std::string layer = "language_model.model.layers.1.mlp.up_proj";
  EXPECT_TRUE(lora_targets(".*\\.(up|down)_proj")(layer));
  EXPECT_TRUE(lora_targets("model\\.language_model\\.layers\\.[01]\\..*")(layer));
  EXPECT_TRUE(lora_targets("language_model\\.model\\.layers\\.[01]\\..*")(layer));
  EXPECT_FALSE(lora_targets("layers\\.1\\..*")(layer));
  EXPECT_FALSE(lora_targets(".*mlp\\.")(layer));
  EXPECT_FALSE(lora_targets("(up|down)_proj")(layer));
  const std::string text = error_text<PatternError>([] { lora_targets("(up"); });
  EXPECT_TRUE(holds(text, "(up is no regular expression"));
  EXPECT_THROW(lora_targets(".*mlp)|(.*"), PatternError);
}

TEST(LearnedLora, CallsModulesWhatPeftDoes) {
  EXPECT_EQ(peft_module("language_model.model.layers.0.self_attn.q_proj"),
            "base_model.model.model.language_model.layers.0.self_attn.q_proj");
  EXPECT_EQ(peft_module("vision_tower.encoder.layers.1.mlp.fc1"),
            "base_model.model.model.vision_tower.encoder.layers.1.mlp.fc1");
  EXPECT_EQ(peft_module("multi_modal_projector.linear"),
            "base_model.model.model.multi_modal_projector.linear");
  EXPECT_EQ(peft_module("lm_head"), "base_model.model.lm_head");
}

TEST(LearnedLora, WritesAConfigurationForPeft) {
  const std::vector<std::string> layers{"language_model.model.layers.0.mlp.up_proj", "lm_head"};
  const std::string text = adapter_config_json({.rank = 4, .alpha = 6}, layers, "some/base");
  EXPECT_EQ(text,
            R"({"base_model_name_or_path":"some/base","bias":"none","fan_in_fan_out":false,)"
            R"("inference_mode":true,"init_lora_weights":true,"lora_alpha":6.0,"lora_dropout":0,)"
            R"("modules_to_save":null,"peft_type":"LORA","r":4,"target_modules":)"
            R"(["model.language_model.layers.0.mlp.up_proj","lm_head"],"task_type":"CAUSAL_LM",)"
            R"("use_dora":false,"use_rslora":false})"
            "\n");
}

// What the model reads again later is what was learned with.
TEST(LearnedLora, IsScaledWhenItIsReadAsWhenItIsLearned) {
  const TemporaryFolder folder;
  const LoraRule rule{.rank = 3, .alpha = 5};
  const std::vector<std::string> layers{"language_model.model.layers.0.mlp.up_proj"};
  write_text(folder / "adapter_config.json", adapter_config_json(rule, layers, ""));
  const AdapterConfig config = read_adapter_config(folder / "adapter_config.json");
  EXPECT_EQ(static_cast<float>(config.scale({"model.language_model.layers.0.mlp.up_proj"}, 3)),
            rule.scale());
  EXPECT_EQ(LoraRule().scale(), 1);
}

}  // namespace
}  // namespace paligemma
