#include "zeta/layers.h"

#include "tests/support/zeta.h"

namespace paligemma {
namespace {

using namespace test;

Buffer<float, 2> rows(Index T, unsigned seed = 7) { return random<float, 2>({T, 20}, seed); }

struct Heard {
  std::vector<std::string> names;
  std::map<std::string, std::vector<float>> numbers;

  template <class T, int Rank>
  void operator()(const std::string& name, View<T, Rank> view) {
    names.push_back(name);
    numbers[name].assign(view.data(), view.data() + view.count());
  }
};

TEST(Layers, TapsComeInOrder) {
  const SmallLayers model{small_layers("acf", true)};
  auto s = model.scratch({.rows = 4, .keys = 4, .context = 3});
  zeta::take_context(reference, model.weights, model.shape, rows(3).view(), s);
  copy(reference, rows(4).view(), s.x.view());
  Heard heard;
  zeta::layers(reference, model.weights, model.shape, 4, {}, kNoMemories, s, Tap(heard));
  EXPECT_EQ(heard.names,
            (std::vector<std::string>{"block00/attention", "block00/log_sum_exp", "block00/sa",
                                      "block00/+sa", "block01/attention", "block01/log_sum_exp",
                                      "block01/ca", "block01/+ca", "block02/ff", "block02/+ff"}));
  for (std::size_t i = 0; i < 4 * 20; ++i) {
    EXPECT_EQ(heard.numbers["block02/+ff"][i],
              heard.numbers["block01/+ca"][i] + heard.numbers["block02/ff"][i]);
  }
}

// Each form of positions whose keys can be kept: a pass continues where the last one ended.
TEST(Layers, InPiecesIsTheSameAsAllAtOnce) {
  auto shape = small_layers("acfacf", true);
  std::vector<zeta::LayersShape> shapes{shape};
  shape.distance.alibi_heads = 2;
  shapes.push_back(shape);
  shape.rotary = small_xpos();
  shapes.push_back(shape);
  shape.rotary->xpos_scale_base = 0;
  shape.turn_values = true;  // by angles alone, which do not depend on the length
  shapes.push_back(shape);
  shape = small_layers("acfacf", true);
  shape.distance.buckets = 6, shape.distance.far = 5;
  shapes.push_back(shape);
  shape.distance = {};
  shape.window = 3;
  shapes.push_back(shape);
  shape.unit_groups = 2, shape.unit_scales = true, shape.score_scale = 10;
  shapes.push_back(shape);
  for (const auto& form : shapes) {
    ASSERT_TRUE(zeta::can_keep(form));
    const SmallLayers model{form};
    const auto x = rows(9), context = rows(4, 8);
    const auto whole = model.run(x.view(), context.view());
    for (const Index at_once : {1, 4}) {
      EXPECT_TRUE(close(model.run(x.view(), context.view(), {}, at_once).view(), whole.view(),
                        kOtherOrder));
    }
  }
}

TEST(Layers, WhatComesLaterChangesNothingBefore) {
  auto shape = small_layers("afaf", true);
  shape.rotary = small_xpos();
  shape.distance.alibi_heads = 1;
  const SmallLayers model{shape};
  const auto x = rows(9);
  const auto whole = model.run(x.view()), part = model.run(x.view().rows(0, 6));
  EXPECT_TRUE(close(part.view(), whole.view().rows(0, 6), kOtherOrder));
}

// xPos measures from the middle, and values that are stretched show it: zeta's fault, which "numerics":
// "zeta" repeats.
TEST(Layers, WithTurnedValuesWhatComesLaterChangesWhatWasBefore) {
  auto shape = small_layers("afaf", true);
  shape.rotary = small_xpos();
  shape.turn_values = true;
  EXPECT_FALSE(zeta::can_keep(shape));
  const SmallLayers model{shape};
  const auto x = rows(9);
  const auto whole = model.run(x.view()), part = model.run(x.view().rows(0, 6));
  EXPECT_FALSE(close(part.view(), whole.view().rows(0, 6), Tolerance{0, 1e-3}));
}

TEST(Layers, TheOrderOfTheContextDoesNotMatter) {
  const SmallLayers model{small_layers("acf", true)};
  const auto x = rows(5), context = rows(6, 8);
  Buffer<float, 2> other({6, 20});
  for (Index s = 0; s < 6; ++s) {
    copy(reference, context.view().rows(s, s + 1), other.view().rows((s + 2) % 6, (s + 2) % 6 + 1));
  }
  EXPECT_TRUE(close(model.run(x.view(), other.view()).view(),
                    model.run(x.view(), context.view()).view(), kOtherOrder));
}

// A context whose last rows are padding is a shorter one; one that is all padding says nothing.
TEST(Layers, PaddingOfTheContextIsNotSeen) {
  const SmallLayers model{small_layers("acf", true)};
  const auto x = rows(5), context = rows(6, 8);
  zeta::Looks looks;
  looks.context = KeyRange{0, 4};
  EXPECT_TRUE(close(model.run(x.view(), context.view(), looks).view(),
                    model.run(x.view(), context.view().rows(0, 4)).view(), kExact));
  looks.context = KeyRange{0, 0};
  const auto silent = model.run(x.view(), context.view(), looks);
  looks.context = KeyRange{2, 3};
  EXPECT_FALSE(
      close(model.run(x.view(), context.view(), looks).view(), silent.view(), Tolerance{0, 1e-3}));
}

// Both ways, rows behind the words are seen by nobody, and words are as without them.
TEST(Layers, PaddingIsNotSeen) {
  const SmallLayers model{small_layers("acf", false)};
  const auto x = rows(7), context = rows(3, 8);
  zeta::Looks looks;
  looks.words = 4;
  const auto padded = model.run(x.view(), context.view(), looks);
  const auto alone = model.run(x.view().rows(0, 4), context.view());
  EXPECT_TRUE(close(padded.view().rows(0, 4), alone.view(), kExact));
}

// What attention says to padding is 0, so its rows are those of a model without attention.
TEST(Layers, AttentionSaysNothingToPadding) {
  const SmallLayers model{small_layers("ac", true)};
  const auto x = rows(5), context = rows(3, 8);
  zeta::Looks looks;
  looks.words = 3;
  auto s = model.scratch({.rows = 5, .keys = 5, .context = 3});
  zeta::take_context(reference, model.weights, model.shape, context.view(), s);
  copy(reference, x.view(), s.x.view());
  zeta::layers(reference, model.weights, model.shape, 5, looks, kNoMemories, s, NoTap());
  EXPECT_TRUE(close(s.x.view().rows(3, 5), x.view().rows(3, 5), kExact));
}

// attn_mask: an interval of keys for each row; a row that sees nothing takes nothing.
TEST(Layers, RowsSeeTheirIntervals) {
  const SmallLayers model{small_layers("a", false)};
  const auto x = rows(4);
  const std::vector<KeyRange> intervals{{0, 2}, {1, 1}, {0, 2}, {2, 4}};
  zeta::Looks looks;
  looks.may_see = intervals;
  const auto seen = model.run(x.view(), {}, looks);
  const auto pair = model.run(x.view().rows(0, 2));
  EXPECT_TRUE(close(seen.view().rows(0, 1), pair.view().rows(0, 1), kExact));
  const auto other = model.run(x.view().rows(2, 4));
  EXPECT_TRUE(close(seen.view().rows(3, 4), other.view().rows(1, 2), kExact));
  Buffer<float, 2> normed({1, 20});
  layer_norm(reference, x.view().rows(1, 2), model.weights.final_norm.scale,
             model.weights.final_norm.bias, 1e-5f, normed.view());
  EXPECT_TRUE(close(seen.view().rows(1, 2), std::as_const(normed).view(), kExact));
}

// Of three heads one has a slope. If the others' output alone counts, distance does not: both ways, rows in
// another order come out in that order.
TEST(Layers, HeadsWithoutASlopeSeeNoDistance) {
  auto shape = small_layers("a", false);
  shape.distance.alibi_heads = 1;
  SmallLayers model{shape};
  const Buffer<float, 2> out = [&] {
    Buffer<float, 2> y({20, 24});
    for (Index d = 0; d < 20; ++d) {
      for (Index i = 8; i < 24; ++i)
        y.view()(d, i) = model.weights.blocks[0].attention.out.weight(d, i);
    }
    return y;
  }();
  const auto x = rows(6);
  Buffer<float, 2> turned({6, 20});
  for (Index t = 0; t < 6; ++t) {
    copy(reference, x.view().rows(t, t + 1), turned.view().rows((t + 2) % 6, (t + 2) % 6 + 1));
  }
  const auto same_order = [&] {
    const auto y = model.run(x.view()), z = model.run(turned.view());
    for (Index t = 0; t < 6; ++t) {
      const Index u = (t + 2) % 6;
      if (!close(z.view().rows(u, u + 1), y.view().rows(t, t + 1), Tolerance{0, 1e-4}))
        return false;
    }
    return true;
  };
  EXPECT_FALSE(same_order());  // the first head sees it
  model.weights.blocks[0].attention.out.weight = out.view();
  EXPECT_TRUE(same_order());
}

TEST(Layers, NeedAContextIfTheyLookAtOne) {
  const SmallLayers model{small_layers("acf", true)};
  EXPECT_THROW(model.run(rows(3).view()), ContractError);
}

TEST(Layers, KeepNothingThatWouldBeWrong) {
  auto shape = small_layers("a", true);
  shape.rotary = small_xpos();
  shape.turn_values = true;
  EXPECT_THROW(SmallLayers{shape}.run(rows(4).view(), {}, {}, 2), ContractError);
  EXPECT_THROW(SmallLayers{small_layers("a", false)}.run(rows(4).view(), {}, {}, 2), ContractError);
  zeta::Looks looks;
  looks.words = 1;
  EXPECT_THROW(SmallLayers{small_layers("a", true)}.run(rows(4).view(), {}, looks, 2),
               ContractError);
}

// Behind the sum: x = norm(x + branch), and no last norm.
TEST(Layers, MayNormBehindTheSum) {
  auto shape = small_layers("f", false);
  shape.norm_before = false;
  const SmallLayers model{shape};
  const auto x = rows(3);
  auto s = model.scratch({.rows = 3, .keys = 3});
  zeta::feed_forward(reference, model.weights.blocks[0].feed_forward, shape.feed_forward, x.view(),
                     s);
  residual_add(reference, x.view(), s.branch.view());
  const auto& norm = model.weights.blocks[0].norm;
  layer_norm(reference, s.branch.view(), norm.scale, norm.bias, 1e-5f, s.branch.view());
  EXPECT_TRUE(close(model.run(x.view()).view(), s.branch.view(), kOtherOrder));
}

}  // namespace
}  // namespace paligemma
