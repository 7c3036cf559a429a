#include "world/glyphs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>

namespace paligemma::world {
namespace {

const std::string kCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

// As many dots as a glyph of seven rows shows, at 9 x 13: 'X' where a pen passed.
std::string dots(char character) {
  constexpr int kColumns = 9, kRows = 13;
  std::string picture(kColumns * kRows, '.');
  for (const Stroke& stroke : glyph(character)) {
    for (std::size_t i = 0; i + 1 < stroke.size(); ++i) {
      for (int step = 0; step <= 40; ++step) {
        const double t = step / 40.0;
        const double x = stroke[i].x + t * (stroke[i + 1].x - stroke[i].x);
        const double y = stroke[i].y + t * (stroke[i + 1].y - stroke[i].y);
        const auto column = std::lround(x * (kColumns - 1)), row = std::lround(y * (kRows - 1));
        picture[static_cast<std::size_t>(row * kColumns + column)] = 'X';
      }
    }
  }
  return picture;
}

TEST(Glyphs, AreStrokesOfTwoPointsOrMore) {
  for (const char c : kCharacters) {
    EXPECT_FALSE(glyph(c).empty()) << c;
    for (const Stroke& stroke : glyph(c)) EXPECT_GE(stroke.size(), 2u) << c;
  }
}

TEST(Glyphs, LieInTheirBoxAndFillItsHeight) {
  for (const char c : kCharacters) {
    double left = 9, right = -9, top = 9, bottom = -9;
    for (const Stroke& stroke : glyph(c)) {
      for (const Point& p : stroke) {
        left = std::min(left, p.x), right = std::max(right, p.x);
        top = std::min(top, p.y), bottom = std::max(bottom, p.y);
      }
    }
    EXPECT_EQ(top, 0) << c;
    EXPECT_EQ(bottom, 1) << c;
    EXPECT_GE(left, 0) << c;
    EXPECT_LE(right, 1) << c;
    EXPECT_GE(right - left, 0.5) << c;
  }
}

TEST(Glyphs, AreAllDifferentToTheEye) {
  for (const char a : kCharacters) {
    for (const char b : kCharacters) {
      if (a >= b) continue;
      const std::string x = dots(a), y = dots(b);
      int different = 0;
      for (std::size_t i = 0; i < x.size(); ++i) different += x[i] != y[i];
      EXPECT_GE(different, 4) << a << " and " << b;
    }
  }
}

TEST(Glyphs, AreDrawnAsTheyLook) {
  EXPECT_EQ(dots('L'),
            "X........"
            "X........"
            "X........"
            "X........"
            "X........"
            "X........"
            "X........"
            "X........"
            "X........"
            "X........"
            "X........"
            "X........"
            "XXXXXXXXX");
}

TEST(Glyphs, AreNoneForOtherCharacters) {
  for (const char c : std::string("az @[/:-\n\xff") + '\0') EXPECT_TRUE(glyph(c).empty()) << int{c};
}

}  // namespace
}  // namespace paligemma::world
