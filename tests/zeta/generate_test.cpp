#include "zeta/generate.h"

#include "tests/support/zeta.h"

namespace paligemma {
namespace {

using namespace test;

struct Writer {
  SmallTransformer model;
  Index rows_computed = 0;

  std::vector<TokenId> write(const std::vector<TokenId>& prompt,
                             const zeta::GenerateOptions& options, bool keeps) {
    auto room = zeta::room_for(model.shape, 40, 4);
    room.keeps = keeps && room.keeps;
    zeta::TransformerScratch<Reference> s(reference, model.shape, model.weights, room, 1);
    zeta::take_context(reference, model.weights.layers, model.shape.layers,
                       random<float, 2>({4, 20}, 9).view(), s.layers);
    return zeta::generate(
        reference, model.weights, model.shape, prompt, kNoMemories, s, options,
        [](const GeneratedToken&) { return true; }, Rows{&rows_computed});
  }

  struct Rows {  // counts the rows that go through the layers
    Index* count;
    void operator()(std::string_view name, const auto& view) const {
      if (name == "embedded") *count += view.size(0);
    }
    NoTap in(std::string_view) const { return {}; }
    NoTap block(Index) const { return {}; }
  };
};

std::vector<zeta::LayersShape> forms() {
  auto shape = small_layers("acfacf", true);
  std::vector<zeta::LayersShape> all{shape};
  shape.distance.alibi_heads = 1;
  shape.rotary = small_xpos();
  all.push_back(shape);
  shape.turn_values = true;
  all.push_back(shape);
  return all;
}

TEST(ZetaGenerate, KeptKeysAndValuesGiveTheSameWords) {
  for (const auto& form : forms()) {
    for (const float temperature : {0.0f, 1.0f}) {
      Writer writer{SmallTransformer{small_transformer(form)}};
      zeta::GenerateOptions options{.max_tokens = 20};
      options.sampler.temperature = temperature;
      const auto kept = writer.write({1, 2, 3}, options, true);
      EXPECT_EQ(kept.size(), 20u);
      EXPECT_EQ(kept, writer.write({1, 2, 3}, options, false));
    }
  }
}

// A word costs one row as long as no word is left out, if keys can be kept.
TEST(ZetaGenerate, AWordIsOneRow) {
  for (const auto& form : forms()) {
    Writer writer{SmallTransformer{small_transformer(form)}};
    writer.write({1, 2, 3}, {.max_tokens = 5}, true);
    EXPECT_EQ(writer.rows_computed, zeta::can_keep(form) ? 3 + 4 : 3 + 4 + 5 + 6 + 7);
  }
}

// Behind max_positions = 12 words the oldest are left out.
TEST(ZetaGenerate, LooksBackAsFarAsItHasPositions) {
  Writer writer{SmallTransformer{small_transformer(small_layers("acf", true))}};
  const std::vector<TokenId> long_prompt{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 1, 2, 3};
  const std::vector<TokenId> its_end(long_prompt.end() - 12, long_prompt.end());
  const auto words = writer.write(long_prompt, {.max_tokens = 6}, true);
  EXPECT_EQ(writer.rows_computed, 6 * 12);
  EXPECT_EQ(words, writer.write(its_end, {.max_tokens = 6}, true));
}

TEST(ZetaGenerate, EndsWithAnEndToken) {
  Writer writer{SmallTransformer{small_transformer(small_layers("acf", true))}};
  const auto words = writer.write({1, 2, 3}, {.max_tokens = 10}, true);
  zeta::GenerateOptions options{.max_tokens = 10, .end_tokens = {words[2], 1}};
  const auto ended = writer.write({1, 2, 3}, options, true);  // 1 in the prompt ends nothing
  ASSERT_LE(ended.size(), 3u);
  EXPECT_TRUE(options.end_tokens.count(ended.back()) == 1);
  EXPECT_TRUE(std::equal(ended.begin(), ended.end(), words.begin()));
}

// A filter that leaves one word is greedy at any temperature.
TEST(ZetaGenerate, FiltersBeforeItDraws) {
  Writer writer{SmallTransformer{small_transformer(small_layers("acf", true))}};
  zeta::GenerateOptions options{.max_tokens = 10};
  const auto greedy = writer.write({1, 2, 3}, options, true);
  options.filter.top_k_share = 0.99;
  options.sampler.temperature = 5;
  EXPECT_EQ(writer.write({1, 2, 3}, options, true), greedy);
}

}  // namespace
}  // namespace paligemma
