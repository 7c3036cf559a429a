#include "zeta/multi_head.h"

#include <cmath>

#include "tests/support/zeta.h"

namespace paligemma {
namespace {

using namespace test;

// One head of one number: x = 1, 2 and 3, weights that are factors.
//
//   q = 4 x, k = x, v = 10 x; row 1 sees rows 0 and 1, with scores 8 * 1 / 2 and 8 * 2 / 2
TEST(MultiHead, WorkedExample) {
  zeta::LayersShape shape;
  shape.blocks = {zeta::BlockKind::self_attention};
  shape.causal = true;
  shape.width = shape.heads = shape.kv_heads = shape.head_size = 1;
  shape.score_scale = 0.5f;
  const auto four = rows_of({{4}}), one = rows_of({{1}}), ten = rows_of({{10}}),
             half = rows_of({{0.5}});
  const zeta::MultiHeadWeights<ZetaWeights> w{
      {four.view()}, {one.view()}, {ten.view()}, {half.view()}};
  zeta::LayersScratch<Reference> s(reference, shape, {}, {.rows = 3, .keys = 3});
  s.keys.extend(reference, s.sequence, 3);
  const auto x = rows_of({{1}, {2}, {3}});
  const auto pass = zeta::pass_of(reference, shape, 0, 3, {}, s);
  zeta::self_attention(reference, w, shape, 0, pass, {}, x.view(), s, NoTap());
  const double share = 1 / (1 + std::exp(-4.0));  // of key 1
  EXPECT_NEAR(s.branch.view()(0, 0), 5, 1e-6);
  EXPECT_NEAR(s.branch.view()(1, 0), 5 * (1 - share) + 10 * share, 1e-5);
}

// A context that is x itself, both ways, is self-attention without distance.
TEST(MultiHead, CrossAttentionOfARowsOwnSequenceIsSelfAttention) {
  const SmallLayers model{small_layers("a", false)};
  auto shape = model.shape;
  shape.blocks.push_back(zeta::BlockKind::cross_attention);
  zeta::LayersScratch<Reference> s(reference, shape, {}, {.rows = 5, .keys = 5, .context = 5});
  const auto x = random<float, 2>({5, 20}, 3);
  const auto& w = model.weights.blocks[0].attention;
  s.keys.extend(reference, s.sequence, 5);
  s.context.extend(reference, s.context_rows, 5);
  const auto pass = zeta::pass_of(reference, shape, 0, 5, {}, s);
  zeta::self_attention(reference, w, shape, 0, pass, {}, x.view(), s, NoTap());
  Buffer<float, 2> self({5, 20});
  copy(reference, s.branch.view(), self.view());
  zeta::context_keys(reference, w, shape, 0, x.view(), s);
  zeta::cross_attention(reference, w, shape, 0, pass, x.view(), s, NoTap());
  EXPECT_TRUE(close(s.branch.view(), self.view(), kExact));
}

// Query head n reads key head n mod K: with the layers of two key heads written out for four, every head has
// its own, and the result is the same.
TEST(MultiHead, HeadsShareKeysEveryKth) {
  auto shape = small_layers("a", true);
  shape.heads = 4;
  shape.kv_heads = 2;
  const SmallLayers shared{shape};
  const auto& k = shared.weights.blocks[0].attention.k.weight;
  ASSERT_EQ(k.shape(), (std::array<Index, 2>{4 * 8, 20}));
  for (Index h = 0; h < 8; ++h) {
    EXPECT_EQ(k(2 * 8 + h, 3), k(h, 3));      // head 2 is head 0's
    EXPECT_EQ(k(3 * 8 + h, 3), k(8 + h, 3));  // and 3 is 1's
  }
}

// Memories are keys and values before x's own: x of which the first rows are not asked for.
TEST(MultiHead, MemoriesAreSeenAsRowsBefore) {
  auto shape = small_layers("a", true);
  shape.rotary = small_xpos();
  shape.turn_values = true;
  shape.distance.alibi_heads = 2;
  const SmallLayers model{shape};
  const auto& w = model.weights.blocks[0].attention;
  const auto x = random<float, 2>({6, 20}, 3);
  auto s = model.scratch({.rows = 6, .keys = 6});
  s.keys.extend(reference, s.sequence, 6);
  zeta::self_attention(reference, w, shape, 0, zeta::pass_of(reference, shape, 0, 6, {}, s), {},
                       x.view(), s, NoTap());
  Buffer<float, 2> whole({6, 20});
  copy(reference, s.branch.view(), whole.view());
  zeta::self_attention(reference, w, shape, 0, zeta::pass_of(reference, shape, 2, 4, {}, s),
                       x.view().rows(0, 2), x.view().rows(2, 6), s, NoTap());
  EXPECT_TRUE(close(s.branch.view().rows(0, 4), whole.view().rows(2, 6), kOtherOrder));
}

// Queries and keys of length 1 in groups: how long a row is does not matter.
TEST(MultiHead, UnitHeadsForgetLengths) {
  auto shape = small_layers("c", true);
  shape.unit_groups = 2;
  const SmallLayers model{shape};
  const auto& w = model.weights.blocks[0].attention;
  auto s = model.scratch({.rows = 2, .keys = 2, .context = 4});
  s.context.extend(reference, s.context_rows, 4);
  zeta::context_keys(reference, w, shape, 0, random<float, 2>({4, 20}, 3).view(), s);
  auto x = random<float, 2>({2, 20}, 4);
  zeta::Pass pass;
  pass.words = 2;
  pass.context = {0, 4};
  zeta::cross_attention(reference, w, shape, 0, pass, x.view(), s, NoTap());
  Buffer<float, 2> before({2, 20});
  copy(reference, s.branch.view(), before.view());
  for (Index d = 0; d < 20; ++d) x.view()(0, d) *= 4;
  zeta::cross_attention(reference, w, shape, 0, pass, x.view(), s, NoTap());
  EXPECT_TRUE(close(s.branch.view(), before.view(), kOtherOrder));
}

}  // namespace
}  // namespace paligemma
