#include "processing/draw.h"

#include <gtest/gtest.h>

#include <array>

namespace paligemma {
namespace {

using Pixel = std::array<int, 3>;

constexpr Pixel kBlue{0x42, 0x85, 0xf4}, kRed{0xdb, 0x44, 0x37}, kBlack{0, 0, 0},
    kWhite{255, 255, 255};

// Black, and of 1023 pixels a side bins are pixels.
RgbImage black(Index H = 1023, Index W = 1023) { return RgbImage({H, W, 3}); }

RgbImage drawn(const RgbImage& image, const std::vector<Detection>& detections) {
  return draw_detections(image.view(), detections);
}

Pixel at(const RgbImage& image, Index y, Index x) {
  return {image.view()(y, x, 0), image.view()(y, x, 1), image.view()(y, x, 2)};
}

Index count(const RgbImage& image, const Pixel& color) {
  Index n = 0;
  for (Index y = 0; y < image.view().size(0); ++y) {
    for (Index x = 0; x < image.view().size(1); ++x) n += at(image, y, x) == color;
  }
  return n;
}

// docs/processing/draw.md, "By hand".
TEST(Draw, WorkedExample) {
  const auto image = drawn(black(), {{{100, 200, 300, 500}, {}, ""}});
  EXPECT_EQ(at(image, 100, 200), kBlue) << "the corner";
  EXPECT_EQ(at(image, 299, 499), kBlue) << "the other corner, the last within the box";
  EXPECT_EQ(at(image, 99, 200), kBlack);
  EXPECT_EQ(at(image, 100, 199), kBlack);
  EXPECT_EQ(at(image, 300, 499), kBlack);
  EXPECT_EQ(at(image, 299, 500), kBlack);
  EXPECT_EQ(at(image, 105, 205), kBlue) << "lines are 6 pixels wide";
  EXPECT_EQ(at(image, 106, 206), kBlack);
  EXPECT_EQ(count(image, kBlue), 2 * 6 * 300 + 2 * 6 * (200 - 2 * 6));
}

TEST(Draw, LeavesTheOriginalAsItWas) {
  const auto image = black(64, 64);
  drawn(image, {{{0, 0, 1023, 1023}, {}, "cat"}});
  EXPECT_EQ(count(image, kBlack), 64 * 64);
}

TEST(Draw, CopiesThePictureIfNothingWasFound) {
  RgbImage image({3, 5, 3});
  for (Index i = 0; i < 45; ++i) image.view().data()[i] = static_cast<std::uint8_t>(5 * i);
  const auto copy = drawn(image, {});
  for (Index i = 0; i < 45; ++i) EXPECT_EQ(copy.view().data()[i], 5 * i);
}

TEST(Draw, TakesColoursInTurn) {
  std::vector<Detection> six;
  for (int i = 0; i < 6; ++i) six.push_back({{150 * i, 0, 150 * i + 100, 100}, {}, ""});
  const auto image = drawn(black(), six);
  EXPECT_EQ(at(image, 0, 0), kBlue);
  EXPECT_EQ(at(image, 150, 0), kRed);
  EXPECT_EQ(at(image, 750, 0), kBlue) << "the sixth";
}

TEST(Draw, ScalesBoxesToThePicture) {
  const auto image = drawn(black(200, 400), {{{0, 0, 1023, 1023}, {}, ""}});
  EXPECT_EQ(at(image, 0, 0), kBlue);
  EXPECT_EQ(at(image, 199, 399), kBlue);
  EXPECT_EQ(at(image, 100, 200), kBlack);
  EXPECT_EQ(at(image, 100, 1), kBlue) << "two pixels at least";
  EXPECT_EQ(at(image, 100, 2), kBlack);
}

// 160 / 1023 of 100 pixels is 15.64, of 200 it is 31.28; 868 / 1023 is 84.85 and 169.70.
TEST(Draw, RoundsEdgesToTheNearestPixel) {
  const auto image = drawn(black(100, 200), {{{160, 160, 868, 868}, {}, ""}});
  EXPECT_EQ(at(image, 16, 31), kBlue);
  EXPECT_EQ(at(image, 15, 31), kBlack);
  EXPECT_EQ(at(image, 16, 30), kBlack);
  EXPECT_EQ(at(image, 84, 169), kBlue);
  EXPECT_EQ(at(image, 85, 169), kBlack);
  EXPECT_EQ(at(image, 84, 170), kBlack);
}

// Lines of 600 / 150 pixels, and letters of 600 / 300 to a dot, as in a square of the shorter side.
TEST(Draw, SizesLinesAndLettersByTheShorterSide) {
  for (const auto& [H, W] : {std::pair<Index, Index>{600, 1800}, {1800, 600}}) {
    const auto image = drawn(black(H, W), {{{0, 0, 1023, 1023}, {}, ""}});
    EXPECT_EQ(at(image, H / 2, 3), kBlue) << H << " x " << W;
    EXPECT_EQ(at(image, H / 2, 4), kBlack) << H << " x " << W;
    const std::vector<Detection> named{{{0, 0, 1023, 1023}, {}, "cat"}};
    EXPECT_EQ(count(drawn(black(H, W), named), kWhite),
              count(drawn(black(600, 600), named), kWhite));
  }
}

TEST(Draw, SetsLabelsInWhiteOnTheColourOfTheBox) {
  const std::vector<Detection> boxes{{{100, 200, 300, 500}, {}, "cat"}};
  const auto image = drawn(black(), boxes);
  EXPECT_GT(count(image, kWhite), 50);
  EXPECT_EQ(at(image, 131, 210), kBlue) << "below the letters, where the box alone is black";
  EXPECT_EQ(at(image, 134, 210), kBlack) << "below the label";

  // White is within the label's own rectangle, 11 dots of 3 pixels high.
  for (Index y = 0; y < 1023; ++y) {
    for (Index x = 0; x < 1023; ++x) {
      if (at(image, y, x) == kWhite) {
        EXPECT_TRUE(y >= 100 && y < 133 && x >= 200) << y << ", " << x;
      }
    }
  }
}

TEST(Draw, ShowsWhatIsNotAsciiAsQuestionMarks) {
  const auto one = drawn(black(99, 99), {{{100, 100, 900, 900}, {}, "\xc3\xa9"}});
  const auto two = drawn(black(99, 99), {{{100, 100, 900, 900}, {}, "??"}});
  EXPECT_GT(count(one, kWhite), 0);
  EXPECT_EQ(count(one, kWhite), count(two, kWhite));
}

TEST(Draw, StaysWithinThePicture) {
  for (Index side : {1, 2, 7, 255}) {
    const auto image = drawn(black(side, side), {{{0, 0, 1023, 1023}, {}, std::string(500, 'W')},
                                                 {{1022, 1022, 1023, 1023}, {}, "corner\n"}});
    EXPECT_EQ(image.view().size(0), side);
    EXPECT_LT(count(image, kBlack), side * side);
  }
}

TEST(Draw, CutsWhatIsRightOfThePictureAndBelow) {
  const auto image = drawn(black(50, 50), {{{512, 900, 1023, 1000}, {}, "WWWW"}});
  for (Index y = 0; y < 50; ++y) EXPECT_EQ(at(image, y, 0), kBlack) << "row " << y;
}

// A mask of `side` pixels a side: 255 in rows top to bottom, whole.
Mask band(Index side, Index top, Index bottom) {
  Mask mask({side, side});
  for (Index y = top; y < bottom; ++y) {
    for (Index x = 0; x < side; ++x) mask.view()(y, x) = 255;
  }
  return mask;
}

std::vector<std::optional<Mask>> masks(std::optional<Mask> first, std::optional<Mask> second) {
  std::vector<std::optional<Mask>> both;
  both.push_back(std::move(first));
  both.push_back(std::move(second));
  return both;
}

TEST(Draw, TintsMasksHalfInTheColourOfTheirObject) {
  RgbImage image({100, 100, 3});
  std::fill_n(image.view().data(), image.view().count(), std::uint8_t{101});
  const std::vector<Detection> boxes{{{0, 0, 5, 5}, {}, ""}, {{0, 0, 5, 5}, {}, ""}};
  const auto drawn =
      draw_detections(image.view(), boxes, masks(band(100, 20, 40), band(100, 30, 50)));
  EXPECT_EQ(at(drawn, 19, 50), (Pixel{101, 101, 101}));
  EXPECT_EQ(at(drawn, 20, 50), (Pixel{(101 + 0x42 + 1) / 2, (101 + 0x85 + 1) / 2,  //
                                      (101 + 0xf4 + 1) / 2}));
  EXPECT_EQ(at(drawn, 49, 50), (Pixel{(101 + 0xdb + 1) / 2, (101 + 0x44 + 1) / 2,  //
                                      (101 + 0x37 + 1) / 2}));
  EXPECT_EQ(at(drawn, 50, 50), (Pixel{101, 101, 101}));
  EXPECT_EQ(at(drawn, 35, 50)[0], ((101 + 0x42 + 1) / 2 + 0xdb + 1) / 2) << "where both are";
}

TEST(Draw, SetsBoxesAndLabelsOnTopOfAllMasks) {
  const std::vector<Detection> boxes{{{100, 100, 900, 900}, {}, "cat"},
                                     {{500, 500, 900, 900}, {}, ""}};
  const auto without = drawn(black(300, 300), boxes);
  const auto with =
      draw_detections(black(300, 300).view(), boxes, masks(std::nullopt, band(300, 0, 300)));
  EXPECT_EQ(count(with, kWhite), count(without, kWhite));
  EXPECT_EQ(count(with, kBlue), count(without, kBlue));
  EXPECT_EQ(count(with, kRed), count(without, kRed));
  EXPECT_EQ(count(with, kBlack), 0);
}

TEST(Draw, RejectsMasksOfAnotherSizeOrNumber) {
  const std::vector<Detection> boxes{{{0, 0, 9, 9}, {}, ""}, {{0, 0, 9, 9}, {}, ""}};
  const auto try_masks = [&](std::vector<std::optional<Mask>> some) {
    draw_detections(black(50, 50).view(), boxes, some);
  };
  EXPECT_NO_THROW(try_masks(masks(std::nullopt, band(50, 0, 0))));
  EXPECT_THROW(try_masks(masks(std::nullopt, band(49, 0, 0))), ContractError);
  EXPECT_THROW(try_masks(std::vector<std::optional<Mask>>(1)), ContractError);
}

TEST(Draw, RejectsViewsThatAreNoPicture) {
  const auto image = black(5, 7);
  const View<const std::uint8_t, 3> left(image.view().data(), {5, 3, 3}, image.view().stride());
  const Buffer<std::uint8_t, 3> rgba({5, 7, 4});
  EXPECT_THROW(draw_detections(left, {}), ContractError);
  EXPECT_THROW(draw_detections(rgba.view(), {}), ContractError);
}

TEST(Draw, CutsLongLabels) {
  const auto sixty = drawn(black(50, 900), {{{100, 0, 900, 900}, {}, std::string(60, 'i')}});
  const auto more = drawn(black(50, 900), {{{100, 0, 900, 900}, {}, std::string(61, 'i')}});
  EXPECT_EQ(count(sixty, kWhite), count(more, kWhite));
}

}  // namespace
}  // namespace paligemma
