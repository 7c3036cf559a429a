#include "processing/formats/tga.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/pictures.h"
#include "tests/support/small_files.h"

namespace paligemma {
namespace {

using namespace test;

// Expected pixels are Pillow 13.0.0's.
struct Tga {
  std::size_t type = 2, W = 2, H = 1, bits = 24, corner = 0x20;
  std::string pixels = "010203 040506", map = "", name = "";
  std::size_t map_first = 0, map_colors = 0, map_bits = 0;
};

std::string file_of(const Tga& tga) {
  const auto number = [](std::size_t value, int bytes = 1) { return little_endian(value, bytes); };
  return number(tga.name.size()) + number(!tga.map.empty()) + number(tga.type) +
         number(tga.map_first, 2) + number(tga.map_colors, 2) + number(tga.map_bits) +
         number(0, 4) + number(tga.W, 2) + number(tga.H, 2) + number(tga.bits) +
         number(tga.corner) + tga.name + hex(tga.map) + hex(tga.pixels);
}

std::string outcome(const Tga& tga) { return test::outcome(formats::decode_tga, file_of(tga)); }

// A TGA has no mark at its beginning.
TEST(Tga, IsBelievedOnlyByItsName) {
  const std::string tga = bytes_of(kPictures + "rgb.tga");
  EXPECT_TRUE(same(decoded(tga, "picture.tga"), pattern()));
  EXPECT_TRUE(same(decoded(bytes_of(kPictures + "rgba.tga"), "picture.TGA"), pattern()));
  EXPECT_EQ(refusal(tga, "picture.png"), "picture.png: not a picture of a known format");
}

TEST(Tga, ReadsColors) {
  EXPECT_EQ(outcome(Tga{}), "030201 060504");
  EXPECT_EQ(outcome({.bits = 32, .pixels = "01020380 040506ff"}), "03020180 060504ff");
  EXPECT_EQ(outcome({.bits = 16, .pixels = "107c 0180"}),
            "ff0083ff 00000800");  // the upper bit is transparent
  EXPECT_EQ(outcome({.bits = 15, .pixels = "107c 0180"}),
            "ff0083 000008");  // which Pillow does not read
  EXPECT_EQ(outcome({.name = std::string(255, 'x')}), "030201 060504");
}

TEST(Tga, ReadsGrey) {
  EXPECT_EQ(outcome({.type = 3, .bits = 8, .pixels = "0180"}), "010101 808080");
  EXPECT_EQ(outcome({.type = 3, .bits = 16, .pixels = "0180 ff00"}), "01010180 ffffff00");
  EXPECT_EQ(outcome({.type = 3, .W = 9, .bits = 1, .pixels = "5580"}),
            "000000 ffffff 000000 ffffff 000000 ffffff 000000 ffffff ffffff");
  EXPECT_EQ(outcome({.type = 1, .bits = 8, .pixels = "0180"}), "010101 808080");  // without a map
}

TEST(Tga, ReadsColorMaps) {
  EXPECT_EQ(outcome({.type = 1,
                     .bits = 8,
                     .pixels = "0100",
                     .map = "010203 040506",
                     .map_colors = 2,
                     .map_bits = 24}),
            "060504 030201");
  EXPECT_EQ(outcome({.type = 1,
                     .bits = 8,
                     .pixels = "0100",
                     .map = "01020380 04050600",
                     .map_colors = 2,
                     .map_bits = 32}),
            "06050400 03020180");
  EXPECT_EQ(outcome({.type = 1,
                     .bits = 8,
                     .pixels = "0100",
                     .map = "107c 0180",
                     .map_colors = 2,
                     .map_bits = 16}),
            "00000800 ff0083ff");
  EXPECT_EQ(outcome({.type = 1,
                     .bits = 8,
                     .pixels = "0100",
                     .map = "107c 0180",
                     .map_colors = 2,
                     .map_bits = 15}),
            "000008 ff0083");  // nor this
}

// What is in front of the first and behind the last is black.
TEST(Tga, ReadsColorMapsThatDoNotBeginAt0) {
  EXPECT_EQ(outcome({.type = 1,
                     .W = 4,
                     .bits = 8,
                     .pixels = "07060508",
                     .map = "010203 040506",
                     .map_first = 6,
                     .map_colors = 2,
                     .map_bits = 24}),
            "060504 030201 000000 000000");
  EXPECT_EQ(outcome({.type = 9,
                     .W = 4,
                     .bits = 8,
                     .pixels = "03 07060508",
                     .map = "010203ff 040506ff",
                     .map_first = 6,
                     .map_colors = 2,
                     .map_bits = 32}),
            "060504ff 030201ff 00000000 000000ff");
}

TEST(Tga, ReadsFromEveryCorner) {
  const auto from = [](std::size_t corner) {
    return outcome({.H = 2, .corner = corner, .pixels = "010101 020202 030303 040404"});
  };
  EXPECT_EQ(from(0x00), "030303 040404 / 010101 020202");
  EXPECT_EQ(from(0x10), "040404 030303 / 020202 010101");
  EXPECT_EQ(from(0x20), "010101 020202 / 030303 040404");
  EXPECT_EQ(from(0x30), "020202 010101 / 040404 030303");
}

TEST(Tga, ReadsRuns) {
  EXPECT_EQ(outcome({.type = 10, .W = 4, .pixels = "81 010203 01 040506 070809"}),
            "030201 030201 060504 090807");
  EXPECT_EQ(
      outcome(
          {.type = 10, .W = 2, .H = 2, .bits = 16, .corner = 0x10, .pixels = "81 007c 81 0180"}),
      "00000800 00000800 / ff0000ff ff0000ff");
  EXPECT_EQ(outcome({.type = 11, .W = 3, .bits = 8, .pixels = "82 07"}), "070707 070707 070707");
  EXPECT_EQ(outcome({.type = 11, .H = 2, .bits = 8, .pixels = "03 01020304"}),
            "010101 020202 / 030303 040404");
  EXPECT_EQ(outcome({.type = 11, .H = 2, .bits = 8, .pixels = "83 01"}),
            "010101 010101 / 010101 010101");  // nor this
}

// An extension behind the pixels says so by a 0.
TEST(Tga, DropsAlphaThatMeansNothing) {
  const auto with = [](const std::string& kind) {
    return outcome({.W = 1,
                    .bits = 32,
                    .pixels = "01020340" + std::string(2 * 494, '0') + kind +
                              "16000000 00000000 54525545564953494f4e2d5846494c45 2e00"});
  };
  EXPECT_EQ(with("00"), "030201ff");
  EXPECT_EQ(with("03"), "03020140");
}

// A TGA may be followed by 26 bytes that say nothing of the picture.
TEST(Tga, IsRefusedWithoutItsLastPixel) {
  for (const std::string name : {"rgb.tga", "rgba.tga"}) {
    const std::string whole = bytes_of(kPictures + name);
    for (std::size_t size = 0; size < whole.size() - 26; ++size) {
      EXPECT_NE(refusal(whole.substr(0, size), name), "") << name << " at " << size;
    }
    EXPECT_TRUE(same(decoded(whole.substr(0, whole.size() - 26), name), pattern())) << name;
  }
  EXPECT_EQ(outcome({.pixels = "010203 0405"}), "the TGA is cut off");
  EXPECT_EQ(outcome({.type = 10, .pixels = "80 010203"}), "the TGA is cut off");
  EXPECT_EQ(outcome({.type = 10, .pixels = "81 0102"}), "the TGA is cut off");
  EXPECT_EQ(outcome({.type = 10, .pixels = "01 010203 0405"}), "the TGA is cut off");
}

TEST(Tga, SaysWhatItDoesNotRead) {
  EXPECT_EQ(outcome({.type = 32}),
            "is a TGA of type 32 with 24 bits a pixel, which is not read here; convert it to PNG");
  EXPECT_EQ(outcome({.type = 1, .bits = 16}),
            "is a TGA of type 1 with 16 bits a pixel, which is not read here; convert it to PNG");
  EXPECT_EQ(outcome({.type = 1, .bits = 8, .map = "00", .map_bits = 8}),
            "is a TGA with a color map of 8 bits, which is not read here; convert it to PNG");
  EXPECT_EQ(outcome({.W = 0}), "has no pixels");
}

}  // namespace
}  // namespace paligemma
