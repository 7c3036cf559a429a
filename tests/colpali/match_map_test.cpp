#include "colpali/match_map.h"

#include <algorithm>

#include "tensor/npz.h"
#include "tests/support/compare.h"
#include "tests/support/data.h"
#include "tests/support/source_dir.h"

namespace paligemma::colpali {
namespace {

using namespace test;

using Page = Buffer<std::uint8_t, 3>;

Page white(Index H, Index W) {
  Page page({H, W, 3});
  std::fill_n(page.view().data(), page.view().count(), std::uint8_t{255});
  return page;
}
// Of a white page only green and blue show the red.
std::vector<int> green_of(const Page& page) {
  std::vector<int> green;
  for (Index i = 0; i < page.view().count(); i += 3) {
    EXPECT_EQ(page.view().data()[i], 255);
    EXPECT_EQ(page.view().data()[i + 1], page.view().data()[i + 2]);
    green.push_back(page.view().data()[i + 1]);
  }
  return green;
}

// docs/colpali/match_map.md, "By hand".
TEST(MatchMap, WorkedExample) {
  const auto q = rows_of({{1, 0}, {0.6, 0.8}});
  const auto patches = rows_of({{0.8, 0.6}, {-1, 0}, {0, 1}, {0.6, -0.8}});
  Buffer<float, 2> heat({2, 2});
  match_heat(q.view(), patches.view(), heat.view());
  EXPECT_TRUE(close(heat.view(), rows_of({{0.96, -0.6}, {0.8, 0.6}}).view(), float_sum_of(2)));
  Page page = white(2, 2);
  draw_heat(heat.view(), page.view());
  EXPECT_EQ(green_of(page), (std::vector<int>{102, 255, 118, 137}));
}

// Each row of the original's map is one token's.
TEST(MatchMap, IsTheOriginals) {
  NpzFile taps(source_dir() + "/tests/golden/colpali/hf/taps.npz");
  const NpyArray map = taps.read("map"), q = taps.read("query0/embeddings"),
                 page = taps.read("page0/embeddings");
  const Index S = map.shape[1], W = q.shape[1];
  const View<const float, 2> patches(page.numbers.data(), {S * S, W});
  Buffer<float, 2> heat({S, S});
  for (Index t = 0; t < q.shape[0]; ++t) {
    match_heat({q.numbers.data() + t * W, {1, W}}, patches, heat.view());
    const View<const float, 2> expected(map.numbers.data() + t * S * S, {S, S});
    EXPECT_TRUE(close(heat.view(), expected, float_sum_of(W, 1))) << t;
  }
}

TEST(MatchMap, ChangesEvenlyBetweenTheMiddlesOfPatches) {
  Page page = white(1, 8);
  draw_heat(rows_of({{0, 1}}).view(), page.view());
  // Their middles are at 2 and at 6 pixels. Pixels at 2.5, 3.5, 4.5 and 5.5 are 1/8, 3/8, 5/8 and 7/8 of the way.
  EXPECT_EQ(green_of(page), (std::vector<int>{255, 255, 236, 198, 159, 121, 102, 102}));
}

TEST(MatchMap, IsStretchedAsThePageWasSquashed) {
  Page wide = white(2, 6), high = white(6, 2);
  const auto heat = rows_of({{0, 1}, {0, 1}}), turned = rows_of({{0, 0}, {1, 1}});
  draw_heat(heat.view(), wide.view());
  draw_heat(turned.view(), high.view());
  const auto one = green_of(wide), other = green_of(high);
  for (std::size_t y = 0; y < 2; ++y) {
    for (std::size_t x = 0; x < 6; ++x) EXPECT_EQ(one[y * 6 + x], other[x * 2 + y]);
  }
  EXPECT_EQ(one.front(), 255);
  EXPECT_EQ(one.back(), 102);
}

TEST(MatchMap, MayHaveMorePatchesOneWay) {
  Page wide = white(3, 8), high = white(8, 3);
  draw_heat(rows_of({{0, 1}}).view(), wide.view());
  draw_heat(rows_of({{0}, {1}}).view(), high.view());
  for (Index y = 0; y < 3; ++y) {
    for (Index x = 0; x < 8; ++x) EXPECT_EQ(wide.view()(y, x, 1), high.view()(x, y, 1));
  }
  EXPECT_EQ(wide.view()(2, 0, 1), 255);
  EXPECT_EQ(wide.view()(2, 7, 1), 102);
}

TEST(MatchMap, ColdIsAsItWas) {
  Page page({1, 2, 3});
  std::fill_n(page.view().data(), 6, std::uint8_t{10});
  draw_heat(rows_of({{-3, -1}}).view(), page.view());
  EXPECT_EQ(page.view()(0, 0, 0), 10);
  EXPECT_EQ(page.view()(0, 1, 0), 157);  // 10 + 0.6 (255 - 10)
  EXPECT_EQ(page.view()(0, 1, 1), 4);
}

TEST(MatchMap, OfOneHeatEverywhereNothingIsDrawn) {
  Page page = white(3, 3);
  draw_heat(rows_of({{0.5, 0.5}}).view(), page.view());
  EXPECT_EQ(green_of(page), std::vector<int>(9, 255));
  draw_heat(rows_of({{0.5}}).view(), page.view());
  EXPECT_EQ(green_of(page), std::vector<int>(9, 255));
}

TEST(MatchMap, RejectsWhatDoesNotFit) {
  const auto q = rows_of({{1, 0}}), patches = rows_of({{1, 0}, {0, 1}}),
             wide = rows_of({{1, 0, 0}});
  Buffer<float, 2> heat({1, 2}), small({1, 1}), none({0, 0});
  EXPECT_NO_THROW(match_heat(q.view(), patches.view(), heat.view()));
  EXPECT_THROW(match_heat(wide.view(), patches.view(), heat.view()), ContractError);
  EXPECT_THROW(match_heat(q.view(), patches.view(), small.view()), ContractError);
  EXPECT_THROW(match_heat(q.view().rows(0, 0), patches.view(), heat.view()), ContractError);
  Page grey({2, 2, 1}), page({2, 2, 3});
  EXPECT_THROW(draw_heat(heat.view(), grey.view()), ContractError);
  EXPECT_THROW(draw_heat(none.view(), page.view()), ContractError);
}

}  // namespace
}  // namespace paligemma::colpali
