#include "processing/formats/bmp.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/pictures.h"
#include "tests/support/small_files.h"

namespace paligemma {
namespace {

using namespace test;

// Expected pixels are Pillow 13.0.0's convert("RGB"), or its alpha with them.
struct Bmp {
  int W = 3, H = 1, bits = 24, compression = 0, colors = 0;
  std::string masks = "", palette = "", pixels = "";
  std::size_t header = 40;
  int shift = 0;  // of where the pixels are said to be
};

std::string file_of(const Bmp& bmp) {
  const auto number = [](auto value, int bytes) {
    return little_endian(static_cast<std::uint64_t>(value), bytes);
  };
  std::string header = number(bmp.header, 4);
  const int side = bmp.header == 12 ? 2 : 4;
  header += number(bmp.W, side) + number(bmp.H, side) + number(1, 2) + number(bmp.bits, 2);
  if (bmp.header > 12)
    header += number(bmp.compression, 4) + std::string(12, '\0') + number(bmp.colors, 4);
  if (bmp.header == 40) header += number(0, 4);
  if (bmp.header > 40) header += number(0, 4) + hex(bmp.masks);
  header.resize(bmp.header);
  const std::string rest = (bmp.header == 40 ? hex(bmp.masks) : "") + hex(bmp.palette);
  const std::size_t at = 14 + header.size() + rest.size() + bmp.shift;
  return "BM" + number(0, 8) + number(at, 4) + header + rest + hex(bmp.pixels);
}

std::string outcome(const Bmp& bmp) { return test::outcome(formats::decode_bmp, file_of(bmp)); }

const std::string kFour = "0000ff00 00ff0000 ff000000 10203000";  // red, green, blue, a brown

TEST(Bmp, ReadsThePattern) {
  for (const std::string name : {"rgb.bmp", "rgba.bmp", "palette.bmp"}) {
    EXPECT_TRUE(same(read_image(kPictures + name), pattern())) << name;
  }
}

TEST(Bmp, ReadsEveryDepth) {
  EXPECT_EQ(outcome({.W = 10, .bits = 1, .palette = "0000ff00 ff000000", .pixels = "a5 40 0000"}),
            "0000ff ff0000 0000ff ff0000 ff0000 0000ff ff0000 0000ff ff0000 0000ff");
  EXPECT_EQ(outcome({.bits = 4, .colors = 4, .palette = kFour, .pixels = "13 00 0000"}),
            "00ff00 302010 ff0000");
  EXPECT_EQ(outcome({.bits = 8, .colors = 4, .palette = kFour, .pixels = "03 02 01 00"}),
            "302010 0000ff 00ff00");
  EXPECT_EQ(outcome({.bits = 16, .pixels = "007c e103 10ff 0000"}), "ff0000 00ff08 ffc583");
  EXPECT_EQ(outcome({.pixels = "010203 040506 070809 000000"}), "030201 060504 090807");
  EXPECT_EQ(outcome({.bits = 32, .pixels = "01020300 04050680 070809ff"}), "030201 060504 090807");
}

TEST(Bmp, ReadsFromTheTopWhereTheHeightIsNegative) {
  const std::string rows = "010203 00 040506 00";
  EXPECT_EQ(outcome({.W = 1, .H = 2, .pixels = rows}), "060504 / 030201");
  EXPECT_EQ(outcome({.W = 1, .H = -2, .pixels = rows}), "030201 / 060504");
  const std::string runs = "0104 0000 0101 0000 0001";
  EXPECT_EQ(outcome({.W = 1,
                     .H = 2,
                     .bits = 8,
                     .compression = 1,
                     .colors = 4,
                     .palette = kFour,
                     .pixels = runs}),
            "00ff00 / 000000");
  EXPECT_EQ(outcome({.W = 1,
                     .H = -2,
                     .bits = 8,
                     .compression = 1,
                     .colors = 4,
                     .palette = kFour,
                     .pixels = runs}),
            "000000 / 00ff00");
}

// A part of 31 or 63 is v * 255 / 31 or 63, cut off.
TEST(Bmp, ReadsBitFields) {
  EXPECT_EQ(outcome({.bits = 16,
                     .compression = 3,
                     .masks = "00f80000 e0070000 1f000000",
                     .pixels = "1084 0004 0100 0000"}),
            "838183 008100 000008");
  EXPECT_EQ(outcome({.bits = 16,
                     .compression = 3,
                     .masks = "007c0000 e0030000 1f000000",
                     .pixels = "1042 0002 0100 0000"}),
            "838383 008300 000008");
  EXPECT_EQ(outcome({.compression = 3,
                     .masks = "0000ff00 00ff0000 ff000000",
                     .pixels = "010203 040506 070809 000000"}),
            "030201 060504 090807");
  const auto of_one = [](const std::string& masks, std::size_t header) {
    return outcome({.W = 1,
                    .bits = 32,
                    .compression = 3,
                    .masks = masks,
                    .pixels = "01020304",
                    .header = header});
  };
  EXPECT_EQ(of_one("0000ff00 00ff0000 ff000000", 40), "030201");
  EXPECT_EQ(of_one("0000ff00 00ff0000 ff000000", 52), "030201");
  EXPECT_EQ(of_one("0000ff00 00ff0000 ff000000 00000000", 56), "030201");
  EXPECT_EQ(of_one("000000ff 0000ff00 00ff0000 00000000", 56), "040302");
  EXPECT_EQ(of_one("000000ff 00ff0000 ff000000 00000000", 108), "040201");
  EXPECT_EQ(of_one("000000ff 0000ff00 00ff0000 ff000000", 56), "04030201");
  EXPECT_EQ(of_one("ff000000 00ff0000 0000ff00 000000ff", 124), "01020304");
  EXPECT_EQ(of_one("0000ff00 00ff0000 ff000000 000000ff", 108), "03020104");
  EXPECT_EQ(of_one("000000ff 00ff0000 ff000000 0000ff00", 124), "04020103");
  EXPECT_EQ(of_one("", 64), "03020104");  // masks of 0
}

TEST(Bmp, RefusesOtherBitFields) {
  const auto refused = [](const std::string& fields) {
    return "is a BMP with bit fields " + fields + ", which is not read here; convert it to PNG";
  };
  EXPECT_EQ(outcome({.bits = 16,
                     .compression = 3,
                     .masks = "000f0000 f0000000 0f000000",
                     .pixels = "00000000 00000000"}),
            refused("f00, f0, f and 0"));
  EXPECT_EQ(outcome({.W = 1,
                     .bits = 32,
                     .compression = 3,
                     .masks = "0000f03f 00fc0f00 ff030000",
                     .pixels = "00000000"}),
            refused("3ff00000, ffc00, 3ff and 0"));
  EXPECT_EQ(outcome({.W = 1,
                     .bits = 32,
                     .compression = 3,
                     .masks = "00ff0000 0000ff00 000000ff ff000000",
                     .pixels = "00000000",
                     .header = 56}),
            refused("ff00, ff0000, ff000000 and ff"));
}

TEST(Bmp, ReadsEveryHeader) {
  for (std::size_t header : {12, 40, 52, 56, 64, 108, 124}) {
    EXPECT_EQ(outcome({.pixels = "010203 040506 070809 000000", .header = header}),
              "030201 060504 090807");
    EXPECT_EQ(outcome({.bits = 8,
                       .colors = 4,
                       .palette = header == 12 ? "0000ff 00ff00 ff0000 102030" : kFour,
                       .pixels = "03020100",
                       .header = header}),
              "302010 0000ff 00ff00");
  }
  EXPECT_EQ(outcome({.pixels = "010203 040506 070809 000000", .header = 16}),
            "is a BMP with a header of 16 bytes, which is not read here; convert it to PNG");
}

// A palette may say how many colors it has; in OS/2 it ends where the pixels begin. It may also stand
// before pixels that are no index.
TEST(Bmp, ReadsPalettesOfAnyLength) {
  EXPECT_EQ(outcome({.W = 4,
                     .bits = 4,
                     .palette = "0000ff 00ff00 ff0000 102030 405060",
                     .pixels = "0123 0000",
                     .header = 12}),
            "ff0000 00ff00 0000ff 302010");
  EXPECT_EQ(outcome({.bits = 8, .colors = 4, .palette = kFour + "aabbccdd", .pixels = "00010200"}),
            "ff0000 00ff00 0000ff");
  EXPECT_EQ(outcome({.palette = kFour, .pixels = "010203 040506 070809 000000"}),
            "030201 060504 090807");
  EXPECT_EQ(outcome({.bits = 8, .colors = 4, .palette = kFour, .pixels = "00010200", .shift = -16}),
            "ff0000 00ff00 0000ff");
}

TEST(Bmp, TakesAnIndexPastThePaletteForBlack) {
  EXPECT_EQ(outcome({.bits = 8, .colors = 4, .palette = kFour, .pixels = "0403ff00"}),
            "000000 302010 000000");
  EXPECT_EQ(outcome({.bits = 4, .palette = "0000ff 00ff00", .pixels = "20100000", .header = 12}),
            "000000 ff0000 00ff00");
}

TEST(Bmp, ReadsRuns) {
  const auto of = [](int bits, const std::string& pixels, int H = 1) {
    return outcome({.W = 5,
                    .H = H,
                    .bits = bits,
                    .compression = bits == 8 ? 1 : 2,
                    .colors = 4,
                    .palette = kFour,
                    .pixels = pixels});
  };
  EXPECT_EQ(of(8, "0201 0302 0001"), "00ff00 00ff00 0000ff 0000ff 0000ff");
  EXPECT_EQ(of(8, "0003 010203 00 0200 0001"), "00ff00 0000ff 302010 ff0000 ff0000");
  EXPECT_EQ(of(4, "0512 0001"), "00ff00 0000ff 00ff00 0000ff 00ff00");
  EXPECT_EQ(of(4, "0005 1231 20 00 0001"), "00ff00 0000ff 302010 00ff00 0000ff");
  EXPECT_EQ(of(8, "0501"), "00ff00 00ff00 00ff00 00ff00 00ff00");  // no end of the picture
  EXPECT_EQ(of(8, "0701 0000 0502 0001", 2),                       // a run past its row
            "0000ff 0000ff 0000ff 0000ff 0000ff / 00ff00 00ff00 00ff00 00ff00 00ff00");
}

TEST(Bmp, SkipsToIndex0) {
  const auto of = [](const std::string& pixels) {
    return outcome({.W = 3,
                    .H = 2,
                    .bits = 8,
                    .compression = 1,
                    .colors = 4,
                    .palette = kFour,
                    .pixels = pixels});
  };
  EXPECT_EQ(of("0101 0000 0302 0001"), "0000ff 0000ff 0000ff / 00ff00 ff0000 ff0000");
  EXPECT_EQ(of("0101 0002 01 01 0102 0001"), "ff0000 ff0000 0000ff / 00ff00 ff0000 ff0000");
  EXPECT_EQ(of("0101 0002 09 09 0001"), "ff0000 ff0000 ff0000 / 00ff00 ff0000 ff0000");
  EXPECT_EQ(of("0301 0102 0001"), "the BMP's runs end before its last pixel");
  EXPECT_EQ(of("0301 0003 0102"), "the BMP's runs end before its last pixel");
}

TEST(Bmp, NeedsNoPaddingBehindTheLastRow) {
  EXPECT_EQ(outcome({.W = 1, .H = 2, .pixels = "010203 00 040506"}), "060504 / 030201");
  EXPECT_EQ(outcome({.W = 1, .H = 2, .pixels = "010203 00 0405"}), "the BMP is cut off");
  EXPECT_EQ(outcome({.W = 9, .bits = 1, .palette = "0000ff00 ff000000", .pixels = "00"}),
            "the BMP is cut off");
}

TEST(Bmp, IsRefusedWithoutItsLastByte) {
  const std::string palette =
      file_of({.bits = 8, .colors = 4, .palette = kFour, .pixels = "030201"});
  const std::string colors = file_of({.W = 2,
                                      .bits = 16,
                                      .compression = 3,
                                      .masks = "00f80000 e0070000 1f000000",
                                      .pixels = "00000000"});
  for (const std::string& whole : {palette, colors}) {
    for (std::size_t size = 0; size < whole.size(); ++size) {
      EXPECT_EQ(test::outcome(formats::decode_bmp, whole.substr(0, size)), "the BMP is cut off");
    }
  }
}

TEST(Bmp, SaysWhatItDoesNotRead) {
  const auto refused = [](const std::string& what) {
    return "is a BMP with " + what + ", which is not read here; convert it to PNG";
  };
  EXPECT_EQ(outcome({.bits = 2}), refused("2 bits a pixel"));
  EXPECT_EQ(outcome({.compression = 4}), refused("compression 4 (JPEG)"));
  EXPECT_EQ(outcome({.compression = 5}), refused("compression 5 (PNG)"));
  EXPECT_EQ(outcome({.compression = 6}), refused("compression 6"));
  EXPECT_EQ(outcome({.compression = 1}), refused("runs of colors"));
  EXPECT_EQ(outcome({.bits = 8, .compression = 3}), refused("bit fields and a palette"));
  EXPECT_EQ(outcome({.bits = 8, .colors = 65537}), refused("a palette of 65537 colors"));
  EXPECT_EQ(outcome({.W = 0}), "has no pixels");
  EXPECT_NE(outcome({.W = -3}).find("pixels are more than"), std::string::npos);
}

}  // namespace
}  // namespace paligemma
