#include "zeta/transformer.h"

#include "tests/support/zeta.h"

namespace paligemma {
namespace {

using namespace test;

const std::vector<TokenId> kIds{3, 11, 0, 7, 7, 5, 12, 1, 2};

zeta::TransformerShape without_positions(zeta::LayersShape layers) {
  auto shape = small_transformer(std::move(layers));
  shape.positions = zeta::Positions::none;
  return shape;
}

// Segments by memories that hold everything.
Buffer<float, 2> in_segments(const SmallTransformer& model, const std::vector<std::size_t>& ends) {
  Buffer<float, 2> all({static_cast<Index>(kIds.size()), 13});
  zeta::Memories<Reference> memories;
  std::size_t begin = 0;
  for (const std::size_t end : ends) {
    const std::vector<TokenId> ids(kIds.begin() + static_cast<std::ptrdiff_t>(begin),
                                   kIds.begin() + static_cast<std::ptrdiff_t>(end));
    const auto T = static_cast<Index>(ids.size());
    auto s = model.scratch({.rows = T, .memories = memories.length(), .remembers = true});
    zeta::shift_memories(model.shape, memories);
    const auto y = model.run(ids, s, memories.rows.empty() ? nullptr : &memories);
    copy(reference, y.view(), all.view().rows(static_cast<Index>(begin), static_cast<Index>(end)));
    memories = zeta::remember(reference, model.shape, memories.rows.empty() ? nullptr : &memories,
                              T + model.shape.memory_tokens, s);
    begin = end;
  }
  return all;
}

TEST(Transformer, SegmentsAreTheWhole) {
  auto layers = small_layers("afafaf", true);
  std::vector<zeta::LayersShape> forms{layers};
  layers.distance.alibi_heads = 2;
  layers.rotary = small_xpos();
  forms.push_back(layers);
  layers = small_layers("afaf", true);
  layers.distance.buckets = 6, layers.distance.far = 5;
  layers.norm_before = false;
  forms.push_back(layers);
  for (const auto& form : forms) {
    auto shape = without_positions(form);
    shape.memory_rows = 20;
    const SmallTransformer model{shape};
    const auto whole = model.run(kIds);
    EXPECT_TRUE(close(in_segments(model, {5, 9}).view(), whole.view(), kOtherOrder));
    EXPECT_TRUE(close(in_segments(model, {2, 3, 9}).view(), whole.view(), kOtherOrder));
  }
}

// zeta does not norm memories, "numerics": "defined" does; only then are segments the whole.
TEST(Transformer, MemoriesMustBeNormedAsRowsAre) {
  auto layers = small_layers("afaf", true);
  layers.norm_memories = false;
  auto shape = without_positions(layers);
  shape.memory_rows = 20;
  const SmallTransformer model{shape};
  EXPECT_FALSE(
      close(in_segments(model, {5, 9}).view(), model.run(kIds).view(), Tolerance{0, 1e-3}));
}

TEST(Transformer, RemembersTheLastRowsOnly) {
  auto shape = without_positions(small_layers("afaf", true));
  shape.memory_rows = 3;
  const SmallTransformer model{shape};
  auto s = model.scratch({.rows = 9, .remembers = true});
  model.run({1, 2}, s);
  auto memories = zeta::remember(reference, shape, kNoMemories, 2, s);
  EXPECT_EQ(memories.length(), 2);
  Buffer<float, 2> last({1, 20});
  copy(reference, s.layers.read[0].view().rows(1, 2), last.view());
  auto second = model.scratch({.rows = 2, .memories = 2, .remembers = true});
  model.run({3, 4}, second, &memories);
  const auto next = zeta::remember(reference, shape, &memories, 2, second);
  EXPECT_EQ(next.length(), 3);
  EXPECT_TRUE(close(next.rows[0].view().rows(0, 1), std::as_const(last).view(), kExact));
  EXPECT_TRUE(close(next.rows[1].view().rows(1, 3),
                    std::as_const(second.layers.read[1]).view().rows(0, 2), kExact));

  model.run({5, 6, 7, 8}, s);
  const auto cut = zeta::remember(reference, shape, kNoMemories, 4, s);
  EXPECT_TRUE(close(cut.rows[1].view(), std::as_const(s.layers.read[1]).view().rows(1, 4), kExact));
}

TEST(Transformer, MemoriesMoveDown) {
  auto shape = without_positions(small_layers("afafaf", true));
  shape.memory_shift = 1;
  zeta::Memories<Reference> memories;
  for (const float number : {1.0f, 2.0f, 3.0f}) {
    memories.rows.emplace_back(std::array<Index, 2>{1, 1}).view()(0, 0) = number;
  }
  zeta::shift_memories(shape, memories);
  EXPECT_EQ(memories.rows[0].view()(0, 0), 2);
  EXPECT_EQ(memories.rows[2].view()(0, 0), 1);
}

TEST(Transformer, AppendedWordsChangeNothingBefore) {
  auto layers = small_layers("afaf", true);
  layers.distance.alibi_heads = 1;
  const SmallTransformer model{small_transformer(layers)};
  const auto whole = model.run(kIds), part = model.run({3, 11, 0, 7});
  EXPECT_TRUE(close(part.view(), whole.view().rows(0, 4), kOtherOrder));
}

// Memory tokens stand in front: they are seen, have no logits, and padding does not reach them.
TEST(Transformer, MemoryTokensAreSeenAndLeftOut) {
  auto shape = small_transformer(small_layers("af", false));
  shape.memory_tokens = 2;
  const SmallTransformer model{shape};
  zeta::Looks looks;
  looks.words = 3;
  const auto padded = model.run({4, 5, 6, 0, 0}, looks);
  EXPECT_EQ(padded.view().size(0), 5);
  EXPECT_TRUE(close(padded.view().rows(0, 3), model.run({4, 5, 6}).view(), kExact));
  const Buffer<float, 2> other_tokens({2, 20});
  SmallTransformer other{shape};
  other.weights.memory_tokens = other_tokens.view();
  EXPECT_FALSE(close(other.run({4, 5, 6}).view(), padded.view().rows(0, 3), Tolerance{0, 1e-3}));
}

// Learned rows are scaled by 1 / sqrt(E); positions that are handed in are other rows of the table.
TEST(Transformer, PositionsMayBeHandedIn) {
  const SmallTransformer model{small_transformer(small_layers("af", true))};
  auto s = model.scratch({.rows = 2});
  zeta::Words<Reference> words;
  const std::vector<TokenId> ids{3, 4}, positions{5, 9};
  words.ids = ids;
  words.positions = positions;
  zeta::transformer(reference, model.weights, model.shape, words, kNoMemories, s, NoTap());
  for (Index d = 0; d < 20; ++d) {
    const float sum = model.weights.words(4, d) + model.weights.positions(9, d) / std::sqrt(20.0f);
    EXPECT_NEAR(s.embedded.view()(1, d), sum, 1e-6);
  }
}

}  // namespace
}  // namespace paligemma
