#include "siglip/pooling.h"

#include "tests/support/compare.h"
#include "tests/support/data.h"
#include "tests/support/embedding_golden.h"
#include "tests/support/vision_tower.h"

namespace paligemma {
namespace {

using namespace test;
using siglip::EncoderScratch;
using siglip::EncoderShape;
using siglip::Pool;

using Head = siglip::AttentionPoolWeights<HostWeights<float>>;

// A picture of side * side patches.
EncoderShape shape_of(Index side, Index D, Index N) {
  EncoderShape shape;
  shape.image_size = side * shape.patch_size;
  shape.width = D;
  shape.mlp_width = shape.head_mlp_width = 20;
  shape.heads = N;
  return shape;
}

Buffer<float, 2> pooled(Pool pool, const Head& head, const EncoderShape& shape,
                        View<const float, 2> x, HeardTaps* heard = nullptr) {
  EncoderScratch<Reference> s(shape);
  copy(reference, x, s.normed.view());
  HeardTaps nobody;
  const auto rows = siglip::pooled(reference, pool, head, shape, s,
                                   Tap(heard == nullptr ? nobody : *heard, "img/"));
  Buffer<float, 2> result(rows.shape());
  copy(reference, rows, result.view());
  return result;
}

// docs/siglip/pooling.md, "By hand".
TEST(Pooling, WorkedExample) {
  const auto x = rows_of({{1, 2}, {3, -2}, {0, 4}, {8, 0}});
  const auto shape = shape_of(2, 2, 1);
  EXPECT_TRUE(close(pooled(Pool::none, {}, shape, x.view()).view(), x.view(), kExact));
  EXPECT_TRUE(
      close(pooled(Pool::mean, {}, shape, x.view()).view(), rows_of({{3, 1}}).view(), kExact));
  EXPECT_TRUE(
      close(pooled(Pool::first, {}, shape, x.view()).view(), rows_of({{1, 2}}).view(), kExact));
}

TEST(Pooling, MeanIsTheMeanOfEachFeature) {
  for (const Index side : {1, 3, 16}) {
    const Index L = side * side, D = 12;
    const auto x = random<float, 2>({L, D}, 1);
    Buffer<float, 2> expected({1, D});
    for (Index d = 0; d < D; ++d) {
      double sum = 0;
      for (Index l = 0; l < L; ++l) sum += x.view()(l, d);
      expected.view()(0, d) = static_cast<float>(sum / static_cast<double>(L));
    }
    const auto y = pooled(Pool::mean, {}, shape_of(side, D, 3), x.view());
    EXPECT_TRUE(close(y.view(), std::as_const(expected).view(), float_sum_of(L, 1)));
  }
}

TEST(Pooling, AttentionIsWhatTheHeadSays) {
  RandomWeights<float> source;
  const auto shape = shape_of(3, 12, 3);
  const auto head = load_head<HostWeights<float>>(shape, source);
  const auto x = random<float, 2>({9, 12}, 1);
  EncoderScratch<Reference> s(shape);
  copy(reference, x.view(), s.normed.view());
  Buffer<float, 2> expected({1, 12});
  attention_pool(reference, head, shape, s, expected.view());
  EXPECT_TRUE(close(pooled(Pool::attention, head, shape, x.view()).view(),
                    std::as_const(expected).view(), kExact));
}

TEST(Pooling, WhatIsPooledIsATap) {
  const auto x = random<float, 2>({9, 12}, 1);
  for (const Pool pool : {Pool::none, Pool::mean, Pool::first}) {
    HeardTaps heard;
    const auto y = pooled(pool, {}, shape_of(3, 12, 3), x.view(), &heard);
    ASSERT_EQ(heard.names.size(), pool == Pool::none ? 0u : 1u);
    if (pool == Pool::none) continue;
    EXPECT_TRUE(close(heard.rows("img/pooled", 12), y.view(), kExact));
  }
}

TEST(Pooling, KindsHaveNames) {
  for (const Pool pool : {Pool::none, Pool::mean, Pool::first, Pool::attention})
    EXPECT_EQ(siglip::pool_named(name_of(pool)), pool);
  EXPECT_EQ(name_of(Pool::mean), "mean");
  EXPECT_EQ(name_of(Pool::attention), "attention");
  EXPECT_FALSE(siglip::pool_named("map"));
}

TEST(Pooling, IsAsKerasHubHasIt) { embeds_as_keras_hub_does(reference); }
TEST(Pooling, IsAsTransformersHasIt) { embeds_as_transformers_does(reference); }

}  // namespace
}  // namespace paligemma
