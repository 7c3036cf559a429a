#include "zeta/patch_rows.h"

#include <cmath>

#include "tests/support/compare.h"
#include "tests/support/data.h"

namespace paligemma {
namespace {

using namespace test;

Buffer<float, 2> rows_of_patches(View<const float, 3> pixels, Index P) {
  const Index side = pixels.size(0) / P;
  Buffer<float, 2> y({side * side, P * P * pixels.size(2)});
  patch_rows(reference, pixels, P, y.view());
  return y;
}

// The pixels 0, 1, 2, ... of a picture with one channel.
Buffer<float, 3> counted(Index R, Index C = 1) {
  Buffer<float, 3> pixels({R, R, C});
  for (Index i = 0; i < pixels.view().count(); ++i) pixels.view().data()[i] = static_cast<float>(i);
  return pixels;
}

// docs/zeta/patch_rows.md, "By hand".
TEST(PatchRows, WorkedExample) {
  const auto expected = rows_of({{0, 1, 4, 5}, {2, 3, 6, 7}, {8, 9, 12, 13}, {10, 11, 14, 15}});
  const auto pixels = counted(4);
  EXPECT_TRUE(close(rows_of_patches(pixels.view(), 2).view(), expected.view(), kExact));
}

TEST(PatchRows, ChannelsAreFastest) {
  const auto pixels = counted(2, 3);
  const auto expected = rows_of({{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}});
  EXPECT_TRUE(close(rows_of_patches(pixels.view(), 2).view(), expected.view(), kExact));
}

// einops.rearrange of a picture [3, 4, 4] of 0, 1, 2, ... by
// "b c (h p1) (w p2) -> b (h w) (p1 p2 c)", p1 = p2 = 2: planes are the same picture under other strides.
TEST(PatchRows, IsZetasRearrangement) {
  Buffer<float, 3> planes({3, 4, 4});
  for (Index i = 0; i < 48; ++i) planes.view().data()[i] = static_cast<float>(i);
  const View<const float, 3> pixels(planes.view().data(), {4, 4, 3}, {4, 1, 16});
  const auto expected = rows_of({{0, 16, 32, 1, 17, 33, 4, 20, 36, 5, 21, 37},
                                 {2, 18, 34, 3, 19, 35, 6, 22, 38, 7, 23, 39},
                                 {8, 24, 40, 9, 25, 41, 12, 28, 44, 13, 29, 45},
                                 {10, 26, 42, 11, 27, 43, 14, 30, 46, 15, 31, 47}});
  EXPECT_TRUE(close(rows_of_patches(pixels, 2).view(), expected.view(), kExact));
}

// The definition again, the other way round: every number finds its pixel.
TEST(PatchRows, MatchesTheDefinition) {
  struct Size {
    Index side, P, C;
  };
  // 32 x 32 with 3 channels are PalmE's own patches, 8 those of the board; the rest break kernels.
  for (const auto [side, P, C] : {Size{1, 1, 1}, Size{7, 1, 3}, Size{1, 7, 3}, Size{3, 5, 17},
                                  Size{5, 3, 257}, Size{6, 8, 3}, Size{2, 32, 3}}) {
    const auto pixels = random<float, 3>({side * P, side * P, C}, 1);
    const auto y = rows_of_patches(pixels.view(), P);
    for (Index l = 0; l < side * side; ++l) {
      for (Index k = 0; k < P * P * C; ++k) {
        const Index row = l / side * P + k / C / P, column = l % side * P + k / C % P;
        ASSERT_EQ(y.view()(l, k), pixels.view()(row, column, k % C))
            << "side = " << side << ", P = " << P << ", C = " << C << ", l = " << l
            << ", k = " << k;
      }
    }
  }
}

TEST(PatchRows, WritesRowsThatArePartOfSomething) {
  const auto pixels = counted(4);
  Buffer<float, 2> wide({4, 6});
  for (Index i = 0; i < 24; ++i) wide.view().data()[i] = -1;
  patch_rows(reference, pixels.view(), 2, View<float, 2>(&wide.view()(0, 1), {4, 4}, {6, 1}));
  const auto expected = rows_of({{-1, 0, 1, 4, 5, -1},
                                 {-1, 2, 3, 6, 7, -1},
                                 {-1, 8, 9, 12, 13, -1},
                                 {-1, 10, 11, 14, 15, -1}});
  EXPECT_TRUE(close(wide.view(), expected.view(), kExact));
}

TEST(PatchRows, RejectsWrongShapes) {
  const auto pixels = counted(4);
  const Buffer<float, 3> wide({4, 6, 1});
  Buffer<float, 2> y({4, 4}), short_y({3, 4}), narrow_y({4, 3}), one({1, 9});
  const auto run = [](const auto& p, Index P, auto& to) {
    patch_rows(reference, p.view(), P, to.view());
  };
  EXPECT_NO_THROW(run(pixels, 2, y));
  EXPECT_THROW(run(wide, 2, y), ContractError);
  EXPECT_THROW(run(pixels, 0, y), ContractError);
  EXPECT_THROW(run(pixels, 3, one), ContractError);
  EXPECT_THROW(run(pixels, 2, short_y), ContractError);
  EXPECT_THROW(run(pixels, 2, narrow_y), ContractError);
}

}  // namespace
}  // namespace paligemma
