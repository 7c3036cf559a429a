#include "processing/formats/png.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <string>

#include "tests/support/pictures.h"
#include "tests/support/small_files.h"

namespace paligemma {
namespace {

using namespace test;

const std::string kBegin = "\x89PNG\r\n\x1a\n";

std::string chunk(const std::string& name, const std::string& data, std::uint64_t damage = 0) {
  const std::string text = name + data;
  const auto* bytes = reinterpret_cast<const Bytef*>(text.data());
  return big_endian(data.size(), 4) + text +
         big_endian(crc32(0, bytes, static_cast<uInt>(text.size())) ^ damage, 4);
}

std::string packed(const std::string& rows) {
  std::string text(compressBound(rows.size()), '\0');
  uLongf size = text.size();
  compress(reinterpret_cast<Bytef*>(text.data()), &size,
           reinterpret_cast<const Bytef*>(rows.data()), rows.size());
  return text.substr(0, size);
}

// Expected pixels are Pillow 13.0.0's, unless it says so.
struct Png {
  int W = 2, H = 1, bits = 8, color = 2, interlaced = 0;
  std::string rows = "00 010203 040506", palette = "", transparency = "";
};

std::string header_of(const Png& png) {
  return chunk("IHDR", big_endian(png.W, 4) + big_endian(png.H, 4) +
                           big_endian(png.bits << 24 | png.color << 16, 4) +
                           big_endian(png.interlaced, 1));
}

std::string file_of(const Png& png) {
  std::string file = kBegin + header_of(png);
  if (!png.palette.empty()) file += chunk("PLTE", hex(png.palette));
  if (!png.transparency.empty()) file += chunk("tRNS", hex(png.transparency));
  return file + chunk("IDAT", packed(hex(png.rows))) + chunk("IEND", "");
}

std::string outcome_of(const std::string& file) { return test::outcome(formats::decode_png, file); }
std::string outcome(const Png& png) { return outcome_of(file_of(png)); }

const std::string kPixels = packed(hex("00 010203 040506")), kWhole = "010203 040506";

TEST(Png, ReadsThePattern) {
  for (const std::string name :
       {"rgb", "rgba", "palette", "palette_transparent", "interlaced", "rgb16"}) {
    EXPECT_TRUE(same(read_image(kPictures + name + ".png"), pattern())) << name;
  }
}

TEST(Png, ReadsEveryKind) {
  EXPECT_EQ(outcome({.W = 3, .bits = 1, .color = 0, .rows = "00 a0"}), "ffffff 000000 ffffff");
  EXPECT_EQ(outcome({.W = 4, .bits = 2, .color = 0, .rows = "00 1b"}),
            "000000 555555 aaaaaa ffffff");
  EXPECT_EQ(outcome({.bits = 4, .color = 0, .rows = "00 1e"}), "111111 eeeeee");
  EXPECT_EQ(outcome({.color = 0, .rows = "00 07fe"}), "070707 fefefe");
  EXPECT_EQ(outcome(Png{}), kWhole);
  EXPECT_EQ(outcome({.W = 1, .bits = 16, .rows = "00 0180 02ff fffe"}), "0102ff");
  EXPECT_EQ(outcome({.color = 4, .rows = "00 0780 fe00"}), "07070780 fefefe00");
  EXPECT_EQ(outcome({.W = 1, .bits = 16, .color = 4, .rows = "00 07ff 80ff"}), "07070780");
  EXPECT_EQ(outcome({.color = 6, .rows = "00 01020380 04050600"}), "01020380 04050600");
  EXPECT_EQ(outcome({.W = 1, .bits = 16, .color = 6, .rows = "00 01ff 02ff 03ff 80ff"}),
            "01020380");
  for (const auto& [bits, row] : {std::pair{1, "40"}, {2, "10"}, {4, "01"}, {8, "0001"}}) {
    EXPECT_EQ(outcome({.bits = bits,
                       .color = 3,
                       .rows = std::string("00") + row,
                       .palette = "010203 040506"}),
              kWhole)
        << bits;
  }
}

// Pillow clips it at 255.
TEST(Png, TakesTheUpperByteOfGreyOf16Bits) {
  EXPECT_EQ(outcome({.bits = 16, .color = 0, .rows = "00 01ff fe00"}), "010101 fefefe");
}

TEST(Png, ReadsEveryFilter) {
  EXPECT_EQ(outcome({.W = 3,
                     .H = 5,
                     .color = 0,
                     .rows = "00 010203 01 010101 02 010101 03 010101 04 010101"}),
            "010101 020202 030303 / 010101 020202 030303 / 020202 030303 040404 / 020202 030303 "
            "040404 / 030303 040404 050505");
}

TEST(Png, ReadsInterlacedPictures) {
  EXPECT_EQ(outcome({.W = 3,
                     .H = 3,
                     .color = 0,
                     .interlaced = 1,
                     .rows = "00 01  00 03  00 0709  00 02 00 08  00 040506"}),
            "010101 020202 030303 / 040404 050505 060606 / 070707 080808 090909");
  EXPECT_EQ(outcome({.W = 3,
                     .H = 2,
                     .bits = 1,
                     .color = 0,
                     .interlaced = 1,
                     .rows = "00 80  00 00  00 80  00 a0"}),
            "ffffff ffffff 000000 / ffffff 000000 ffffff");
}

TEST(Png, HasAlphaWhereAColorIsTransparent) {
  EXPECT_EQ(outcome({.transparency = "0001 0002 0003"}), "01020300 040506ff");
  EXPECT_EQ(outcome({.color = 0, .rows = "00 0701", .transparency = "0007"}), "07070700 010101ff");
  EXPECT_EQ(outcome({.W = 3,
                     .color = 3,
                     .rows = "00 000102",
                     .palette = "010203 040506 070809",
                     .transparency = "8000"}),
            "01020380 04050600 070809ff");
  EXPECT_EQ(outcome({.color = 4, .rows = "00 0780 fe00", .transparency = "0007"}),
            "07070780 fefefe00");  // has its own
}

TEST(Png, TakesAnIndexPastThePaletteForBlack) {
  EXPECT_EQ(outcome({.W = 3, .color = 3, .rows = "00 0102ff", .palette = "010203 040506"}),
            "040506 000000 000000");
}

TEST(Png, RefusesAWrongChecksumInFrontOfItsPixelsAlone) {
  const std::string begin = kBegin + header_of({}), pixels = chunk("IDAT", kPixels, 1),
                    end = chunk("IEND", "", 1);
  EXPECT_EQ(outcome_of(begin + chunk("tEXt", std::string("a\0b", 3)) + pixels +
                       chunk("tEXt", std::string("a\0b", 3), 1) + end),
            kWhole);
  EXPECT_EQ(outcome_of(begin + chunk("tEXt", std::string("a\0b", 3), 1) + pixels + end),
            "looks like PNG, but what stands before its pixels is damaged");
}

TEST(Png, RefusesDamagedPixels) {
  std::string pixels = kPixels;
  pixels.back() = static_cast<char>(pixels.back() ^ 1);  // the checksum of what is packed
  EXPECT_EQ(outcome_of(kBegin + header_of({}) + chunk("IDAT", pixels)),
            "looks like PNG, but its pixels are damaged");
  EXPECT_EQ(outcome_of(kBegin + header_of({}) + chunk("IDAT", "abcdefgh")),
            "looks like PNG, but its pixels are damaged");
  EXPECT_EQ(outcome({.rows = "05 010203 040506"}).substr(0, 15),
            "looks like PNG,");  // no such filter
}

TEST(Png, ReadsPixelsInPiecesThatFollowEachOther) {
  const std::string begin = kBegin + header_of({}), half = chunk("IDAT", kPixels.substr(0, 9)),
                    rest = chunk("IDAT", kPixels.substr(9));
  EXPECT_EQ(outcome_of(begin + chunk("IDAT", "") + half + chunk("IDAT", "") + rest), kWhole);
  EXPECT_EQ(outcome_of(begin + half + chunk("tEXt", "") + rest), "the PNG is cut off");
}

TEST(Png, IsRefusedWhereRowsAreMissing) {
  EXPECT_EQ(outcome({.H = 2}), "the PNG is cut off");
  EXPECT_EQ(outcome({.W = 10000, .H = 10000}), "the PNG is cut off");
  EXPECT_EQ(outcome({.rows = "00 010203 040506 00"}), kWhole);  // too many
  const std::string whole = file_of({});
  for (std::size_t size = 8; size + 24 < whole.size(); ++size) {
    EXPECT_EQ(outcome_of(whole.substr(0, size)), "the PNG is cut off") << size;
  }
}

TEST(Png, NeedsNothingBehindItsPixels) {
  const std::string whole = file_of({});
  for (std::size_t without : {4, 12, 16})
    EXPECT_EQ(outcome_of(whole.substr(0, whole.size() - without)), kWhole);
  EXPECT_EQ(outcome_of(whole + "and more"), kWhole);
}

// Its letters say that a reader must know it.
TEST(Png, PassesOverUnknownChunks) {
  EXPECT_EQ(outcome_of(kBegin + chunk("ABCD", "") + header_of({}) + chunk("ABCD", "abc") +
                       chunk("IDAT", kPixels)),
            kWhole);
}

TEST(Png, OfAnAnimationIsThePictureOfItsIdat) {
  const std::string frame = chunk("fcTL", big_endian(0, 4) + big_endian(2, 4) + big_endian(1, 4) +
                                              std::string(14, '\1').replace(0, 8, 8, '\0'));
  const std::string next = chunk("fdAT", big_endian(1, 4) + packed(hex("00 ffffff ffffff")));
  EXPECT_EQ(outcome_of(kBegin + header_of({}) + chunk("acTL", big_endian(2, 4) + big_endian(0, 4)) +
                       frame + chunk("IDAT", kPixels) + next),
            kWhole);
}

// Pillow 13 draws it on black if it has as many rows as it says, else it refuses it.
TEST(Png, WhoseFirstFrameIsNotTheWholePictureIsRefusedInWords) {
  const auto outcome_with = [](std::uint64_t W, std::uint64_t H, std::uint64_t x, std::uint64_t y) {
    return outcome_of(kBegin + header_of({}) +
                      chunk("fcTL", big_endian(0, 4) + big_endian(W, 4) + big_endian(H, 4) +
                                        big_endian(x, 4) + big_endian(y, 4) + big_endian(0, 6)) +
                      chunk("IDAT", kPixels));
  };
  EXPECT_EQ(outcome_with(2, 1, 0, 0), kWhole);
  for (const std::string& other : {outcome_with(1, 1, 0, 0), outcome_with(2, 2, 0, 0),
                                   outcome_with(2, 1, 1, 0), outcome_with(2, 1, 0, 1)}) {
    EXPECT_EQ(other, "looks like PNG, but its first frame is not the whole picture");
  }
}

TEST(Png, SaysWhatIsWrong) {
  EXPECT_EQ(outcome_of(kBegin + chunk("IDAT", kPixels)), "looks like PNG, but it has no header");
  EXPECT_EQ(outcome_of(kBegin + header_of({}) + chunk("IEND", "")),
            "looks like PNG, but it has no pixels");
  EXPECT_EQ(outcome({.bits = 3}), "looks like PNG, but its header is damaged");
  EXPECT_EQ(outcome({.color = 7}), "looks like PNG, but its header is damaged");
  EXPECT_EQ(outcome({.W = 0}), "has no pixels");
  EXPECT_EQ(outcome({.W = 15367, .H = 15365}),
            "15367 x 15365 pixels are more than the 178956970 that are read");
  EXPECT_NE(outcome({.W = 0x7fffffff, .H = 0x7fffffff}).find("pixels are more than"),
            std::string::npos);
  EXPECT_EQ(outcome({.bits = 4, .color = 6}).substr(0, 15), "looks like PNG,");
  EXPECT_NE(refusal(kBegin + chunk("CgBI", "abcd") + header_of({})).find("Apple's PNG (CgBI)"),
            std::string::npos);
}

TEST(Png, RefusesInPrintableWords) {
  std::string png = bytes_of(kPictures + "rgb.png");
  png[37] = '\x85';  // first letter of the second chunk
  for (char c : refusal(png)) EXPECT_TRUE(c >= ' ' && c <= '~');
}

}  // namespace
}  // namespace paligemma
