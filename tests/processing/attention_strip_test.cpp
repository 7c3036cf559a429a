#include "processing/attention_strip.h"

#include <gtest/gtest.h>

#include "tensor/check.h"

namespace paligemma {
namespace {

// A white picture of 4 x 4 in four patches: it is drawn 24 times as large, each tile in a frame of 48.
TEST(AttentionStrip, IsAsBrightAsWhatIsLookedAt) {
  RgbImage picture({4, 4, 3});
  std::fill_n(picture.view().data(), 48, std::uint8_t{200});
  const std::vector<std::vector<float>> maps{{0, 0.5, 0.25, 0}, {0, 0, 0, 0}};
  const RgbImage strip = attention_strip(picture.view(), maps);
  const auto y = strip.view();
  const Index tile = 24 * (4 + 4);
  ASSERT_EQ(y.shape(), (std::array<Index, 3>{tile, 3 * tile, 3}));
  const auto at = [&](Index k, Index i, Index j) {  // the first of the pixels that show (i, j)
    return int{y((i + 2) * 24, k * tile + (j + 2) * 24, 1)};
  };
  EXPECT_EQ(at(0, 0, 0), 200);      // the picture itself
  EXPECT_EQ(at(1, 0, 0), 50);       // not looked at
  EXPECT_EQ(at(1, 1, 3), 200);      // the brightest
  EXPECT_EQ(at(1, 3, 1), 125);      // half of it
  EXPECT_EQ(at(2, 0, 0), 200);      // a word that looks nowhere dims nothing
  EXPECT_EQ(int{y(47, 47, 0)}, 0);  // the frame
  EXPECT_EQ(int{y(tile - 48, 100, 0)}, 0);
}

TEST(AttentionStrip, TakesSquaresOfPatches) {
  const RgbImage picture({4, 4, 3});
  EXPECT_THROW(attention_strip(picture.view(), std::vector<std::vector<float>>{{1, 1, 1}}),
               ContractError);
}

}  // namespace
}  // namespace paligemma
