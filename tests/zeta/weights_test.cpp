#include "zeta/weights.h"

#include "tests/support/zeta.h"

namespace paligemma {
namespace {

using namespace test;

struct Asked {
  std::vector<std::string> names;

  zeta::WeightStore<Reference, float> store() {
    return {reference, [this](const std::string& name, const std::vector<Index>& shape) {
              names.push_back(name);
              Index count = 1;
              for (const Index size : shape) count *= size;
              return std::vector<float>(static_cast<std::size_t>(count), 3.0f);
            }};
  }
};

// As a PyTorch module has them.
TEST(ZetaWeights, HaveTheNamesOfStateDict) {
  auto layers = small_layers("acf", true);
  layers.unit_groups = 1, layers.unit_scales = true;
  auto shape = small_transformer(layers);
  shape.memory_tokens = 2;
  shape.embedding_width = 6;
  Asked asked;
  auto store = asked.store();
  zeta::load_transformer<HostWeights<float>>(shape, "net.", store);
  const auto attention = [](const std::string& n) {
    std::vector<std::string> names;
    const std::string layer = "net.attn_layers.layers." + n + ".";
    for (const char* name :
         {"0.0.weight", "0.0.bias", "1.qk_norm_q_scale", "1.qk_norm_k_scale", "1.to_q.weight",
          "1.to_k.weight", "1.to_v.weight", "1.to_out.weight"}) {
      names.push_back(layer + name);
    }
    return names;
  };
  std::vector<std::string> expected{"net.memory_tokens", "net.token_emb.emb.weight",
                                    "net.pos_emb.emb.weight", "net.project_emb.weight",
                                    "net.project_emb.bias"};
  for (const char* n : {"0", "1"}) {
    for (const std::string& name : attention(n)) expected.push_back(name);
  }
  for (const char* name : {"layers.2.0.0.weight", "layers.2.0.0.bias", "layers.2.1.ff.0.0.weight",
                           "layers.2.1.ff.0.0.bias", "layers.2.1.ff.2.weight",
                           "layers.2.1.ff.2.bias", "final_norm.weight", "final_norm.bias"}) {
    expected.push_back("net.attn_layers." + std::string(name));
  }
  expected.insert(expected.end(), {"net.to_logits.weight", "net.to_logits.bias"});
  EXPECT_EQ(asked.names, expected);
}

TEST(ZetaWeights, ATiedHeadIsTheTableOfWords) {
  auto shape = small_transformer(small_layers("af", true));
  shape.tied_head = true;
  Asked asked;
  auto store = asked.store();
  const auto w = zeta::load_transformer<HostWeights<float>>(shape, "", store);
  EXPECT_EQ(w.head.weight.data(), w.words.data());
  EXPECT_EQ(w.head.bias.data(), nullptr);
}

// A norm of one number is stored as one, and read as one for each feature; SimpleRMSNorm stores nothing.
TEST(ZetaWeights, NormsWithoutAGainOfTheirOwnGetOne) {
  auto shape = small_layers("f", true);
  shape.norm = zeta::NormKind::scale;
  Asked asked;
  auto store = asked.store();
  const auto w = zeta::load_layers<HostWeights<float>>(shape, "", store);
  EXPECT_EQ(w.final_norm.scale.size(0), 20);
  EXPECT_EQ(w.final_norm.scale(19), 3);
  shape.norm = zeta::NormKind::simple_rms;
  EXPECT_EQ(zeta::load_layers<HostWeights<float>>(shape, "", store).final_norm.scale(19), 1);
}

// Rounded to what the executor reads.
TEST(ZetaWeights, AreStoredAsTheTypeThatIsAskedFor) {
  zeta::WeightStore<Reference, bf16> store(
      reference,
      [](const std::string&, const std::vector<Index>&) { return std::vector{1.00390625f}; });
  EXPECT_EQ(widen(store.vector("x", 1)(0)), 1);  // 1 + 2^-8: halfway, to even
}

}  // namespace
}  // namespace paligemma
