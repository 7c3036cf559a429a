#include "processing/formats/gif.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/pictures.h"
#include "tests/support/small_files.h"

namespace paligemma {
namespace {

using namespace test;

constexpr std::size_t kClear = 4, kEnd = 5;  // behind indices of 2 bits

// Codes as their bits, in pieces of up to 255 bytes. Each behind the first since a clear code defines
// one more, until there are 4096.
std::string packed(const std::vector<std::size_t>& codes, std::size_t index_bits = 2) {
  const std::size_t clear = std::size_t{1} << index_bits;
  std::size_t defined = clear + 2, bits = index_bits + 1;
  bool is_first = true;
  std::string digits, bytes;
  for (std::size_t code : codes) {
    for (std::size_t i = 0; i < bits; ++i) digits += code >> i & 1 ? '1' : '0';
    if (code == clear) {
      defined = clear + 2, bits = index_bits + 1;
    } else if (!is_first && defined < 4096) {
      if (++defined == std::size_t{1} << bits && bits < 12) ++bits;
    }
    is_first = code == clear;
  }
  for (std::size_t i = 0; i < digits.size(); i += 8) {
    if (i / 8 % 255 == 0)
      bytes += static_cast<char>(std::min<std::size_t>(255, (digits.size() - i + 7) / 8));
    char byte = 0;
    for (std::size_t bit = i; bit < std::min(i + 8, digits.size()); ++bit)
      byte |= static_cast<char>((digits[bit] - '0') << (bit - i));
    bytes += byte;
  }
  return little_endian(index_bits, 1) + bytes + '\0';
}

// Expected pixels are Pillow 13.0.0's.
struct Gif {
  std::size_t screen_W = 2, screen_H = 2;
  std::string palette = "ff0000 00ff00 0000ff 102030", own_palette = "";
  std::string control = "";  // an extension in front of the picture
  std::size_t x = 0, y = 0, W = 2, H = 2;
  bool is_interlaced = false;
  std::string codes = packed({kClear, 1, 2, 3, 0, kEnd});
  std::string end = ";";
};

std::string file_of(const Gif& gif) {
  const std::size_t common = gif.palette.empty() ? 0 : 0x81,
                    own = gif.own_palette.empty() ? 0 : 0x81;
  const auto number = [](std::size_t value) { return little_endian(value, 2); };
  return "GIF89a" + number(gif.screen_W) + number(gif.screen_H) +
         little_endian(common | 3 << 8, 3) + hex(gif.palette) + hex(gif.control) + "," +
         number(gif.x) + number(gif.y) + number(gif.W) + number(gif.H) +
         little_endian(own | (gif.is_interlaced ? 0x40 : 0), 1) + hex(gif.own_palette) + gif.codes +
         gif.end;
}

std::string outcome(const Gif& gif) { return test::outcome(formats::decode_gif, file_of(gif)); }

const std::string kWhole = "00ff00 0000ff / 102030 ff0000";

TEST(Gif, ReadsThePattern) { EXPECT_TRUE(same(read_image(kPictures + "palette.gif"), pattern())); }

TEST(Gif, WorkedExample) { EXPECT_EQ(outcome(Gif{}), kWhole); }

TEST(Gif, TakesThePicturesOwnPaletteOrElseTheCommonOneOrElseGrey) {
  EXPECT_EQ(outcome({.own_palette = "000000 111111 222222 333334"}),
            "111111 222222 / 333334 000000");
  EXPECT_EQ(outcome({.palette = ""}), "010101 020202 / 030303 000000");
}

// 6 is the string 1 1 that it itself defines, 7 is 1 1 1.
TEST(Gif, ReadsStrings) {
  EXPECT_EQ(outcome({.codes = packed({kClear, 1, 6, 2, kEnd})}), "00ff00 00ff00 / 00ff00 0000ff");
  EXPECT_EQ(outcome({.codes = packed({1, 6, 1, kEnd})}), "00ff00 00ff00 / 00ff00 00ff00");
  EXPECT_EQ(outcome({.codes = packed({kClear, 1, 6, kClear, 2, kEnd})}),
            "00ff00 00ff00 / 00ff00 0000ff");
  EXPECT_EQ(outcome({.codes = packed({kClear, 1, 6, 7, 7})}), "00ff00 00ff00 / 00ff00 00ff00");
}

TEST(Gif, RefusesCodesThatNothingDefines) {
  const std::string reason = "the GIF has a code that nothing defines";
  EXPECT_EQ(outcome({.codes = packed({kClear, 1, 7, kEnd})}), reason);
  EXPECT_EQ(outcome({.codes = packed({kClear, 6, 1, kEnd})}), reason);
  EXPECT_EQ(outcome({.codes = packed({kClear, 1, 6, kClear, 6})}), reason);
  EXPECT_EQ(outcome({.codes = hex("0c 01 00 00")}), "the GIF has indices of 12 bits");
}

// Nothing is defined any more until a code clears the table, which may come late or never.
TEST(Gif, ReadsOnWithAFullTableOfCodes) {
  std::vector<std::size_t> codes{256}, indices;
  for (std::size_t i = 0; i < 5000; ++i) {
    codes.push_back(i * 7 % 256);
    indices.push_back(i * 7 % 256);
  }
  codes.insert(codes.end(), {4095, 258, 256, 9, 257});
  indices.insert(indices.end(), {indices[3837], indices[3838], indices[0], indices[1], 9});
  const RgbImage image = decoded(file_of({.screen_W = 5,
                                          .screen_H = 1001,
                                          .palette = "",
                                          .W = 5,
                                          .H = 1001,
                                          .codes = packed(codes, 8)}));
  for (std::size_t i = 0; i < indices.size(); ++i) {
    ASSERT_EQ(image.view().data()[3 * i], indices[i]) << i;
  }
}

// Outside is the transparent index if there is one, else index 0, of the picture's own palette if it
// has one; never the background, which is 3 here.
TEST(Gif, FillsTheScreenAroundItsFirstPicture) {
  const std::string codes = packed({kClear, 1, 2, kEnd});
  EXPECT_EQ(outcome({.screen_W = 3, .x = 1, .H = 1, .codes = codes}),
            "ff0000 00ff00 0000ff / ff0000 ff0000 ff0000");
  EXPECT_EQ(outcome({.screen_W = 3,
                     .own_palette = "a0a0b0 111111 222222 333334",
                     .x = 1,
                     .H = 1,
                     .codes = codes}),
            "a0a0b0 111111 222222 / a0a0b0 a0a0b0 a0a0b0");
  EXPECT_EQ(
      outcome({.screen_W = 3, .control = "21f904 01 0000 02 00", .x = 1, .H = 1, .codes = codes}),
      "0000ff00 00ff00ff 0000ff00 / 0000ff00 0000ff00 0000ff00");
}

TEST(Gif, GrowsWhereItsFirstPictureIsLargerThanTheScreen) {
  EXPECT_EQ(outcome({.screen_W = 1, .screen_H = 1}), kWhole);
  EXPECT_EQ(outcome({.screen_W = 0, .screen_H = 0}), kWhole);
  EXPECT_EQ(
      outcome(
          {.screen_W = 1, .screen_H = 2, .x = 1, .W = 1, .codes = packed({kClear, 1, 2, kEnd})}),
      "ff0000 00ff00 / ff0000 0000ff");
}

TEST(Gif, HasAlphaWhereAnIndexIsTransparent) {
  EXPECT_EQ(outcome({.control = "21f904 05 0000 02 00"}), "00ff00ff 0000ff00 / 102030ff ff0000ff");
  EXPECT_EQ(outcome({.control = "21f904 04 0000 02 00"}), kWhole);
  EXPECT_EQ(outcome({.control = "21f904 01 0000 03 00 21f904 01 0000 02 00"}),
            "00ff00ff 0000ff00 / 102030ff ff0000ff");
}

TEST(Gif, PassesOverWhatElseItHolds) {
  EXPECT_EQ(
      outcome(
          {.control =
               "21fe 02 2c2c 01 3b 00 21ff 0b 4e4554534341504532 2e30 03 010000 00 2101 01 2c 00"}),
      kWhole);
  EXPECT_EQ(outcome({.control = "00 55"}), kWhole);
  EXPECT_EQ(outcome({.end = "," + std::string(4, '\0') + hex("0100 0100 00 02 02 4401 00 3b")}),
            kWhole);  // a second picture
}

TEST(Gif, ReadsRowsInTheirInterlacedOrder) {
  std::vector<std::size_t> codes{kClear};
  for (std::size_t row = 0; row < 10; ++row) codes.insert(codes.end(), {row % 4, kClear});
  EXPECT_EQ(
      outcome({.screen_W = 1,
               .screen_H = 10,
               .W = 1,
               .H = 10,
               .is_interlaced = true,
               .codes = packed(codes)}),
      "ff0000 / 00ff00 / 102030 / 0000ff / 0000ff / 102030 / ff0000 / ff0000 / 00ff00 / 00ff00");
}

TEST(Gif, NeedsNoEnd) {
  EXPECT_EQ(outcome({.end = ""}), kWhole);
  EXPECT_EQ(outcome({.codes = packed({kClear, 1, 2, 3, 0})}), kWhole);
  EXPECT_EQ(outcome({.codes = packed({kClear, 1, 2, 3, 0, 1, 1})}), kWhole);  // too many
}

TEST(Gif, IsRefusedWhereItsCodesEndEarly) {
  const std::string cut = "the GIF is cut off";
  EXPECT_EQ(outcome({.codes = packed({kClear, 1, 2, 3, kEnd})}), cut);
  EXPECT_EQ(outcome({.codes = packed({kClear, 1, 2, 3, kEnd, 0, 0, 0})}), cut);
  EXPECT_EQ(outcome({.codes = hex("02 00")}), cut);
  const std::string whole = file_of({.end = ""});
  for (std::size_t size = 0; size + 1 < whole.size(); ++size) {
    EXPECT_EQ(test::outcome(formats::decode_gif, whole.substr(0, size)), cut) << size;
  }
  EXPECT_EQ(test::outcome(formats::decode_gif, whole.substr(0, whole.size() - 1)), kWhole);
  EXPECT_EQ(test::outcome(formats::decode_gif, hex("474946383961 0100 0100 000000 3b")),
            "the GIF has no picture");
  EXPECT_EQ(outcome({.W = 0}), "has no pixels");
  EXPECT_NE(outcome({.screen_W = 65535, .screen_H = 65535}).find("pixels are more than"),
            std::string::npos);
}

}  // namespace
}  // namespace paligemma
