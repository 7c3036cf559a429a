#include "processing/formats/orientation.h"

#include <array>
#include <string>
#include <utility>

#include "processing/formats/jpeg_segments.h"
#include "processing/formats/png_notes.h"
#include "tests/support/pictures.h"

namespace paligemma {
namespace {

using namespace test;
using namespace std::string_literals;
using formats::orientation_of;

const std::string kExifMark = "Exif\0\0"s, kXmpMark = "http://ns.adobe.com/xap/1.0/\0"s;

// Packed by zlib without being made smaller: one stored block, then a checksum.
std::string packed(const std::string& text) {
  std::size_t a = 1, b = 0;
  for (char c : text) a = (a + static_cast<unsigned char>(c)) % 65521, b = (a + b) % 65521;
  return "\x78\x01\x01" + number(text.size(), 2, true) + number(~text.size(), 2, true) + text +
         number(b, 2) + number(a, 2);
}

int jpeg(const std::string& bytes) {
  return formats::jpeg_orientation(std::as_bytes(std::span(bytes)));
}
int png(const std::string& bytes) {
  return formats::png_orientation(std::as_bytes(std::span(bytes)));
}

std::string baseline() { return bytes_of(kPictures + "baseline.jpg"); }
std::string rgb() { return bytes_of(kPictures + "rgb.png"); }

// Three columns, two rows, as Pillow 13's ImageOps.exif_transpose turns them; both channels alike.
TEST(Orientation, TurnsEveryPixelToItsPlace) {
  const std::array<std::string, 9> expected{"",       "abcdef", "cbafed", "fedcba", "defabc",
                                            "adbecf", "daebfc", "fcebda", "cfbead"};
  for (int orientation = 1; orientation <= 8; ++orientation) {
    formats::Picture stored{Buffer<std::uint8_t, 3>({2, 3, 2})};
    for (Index i = 0; i < 12; ++i) {
      stored.pixels.view().data()[i] = static_cast<std::uint8_t>("abcdef"[i / 2] - i % 2 * 32);
    }
    const formats::Picture turned = formats::upright(std::move(stored), orientation);
    const auto pixels = turned.pixels.view();
    EXPECT_EQ(shape_text(pixels), orientation < 5 ? "[2, 3, 2]" : "[3, 2, 2]");
    for (Index i = 0; i < 12; ++i) {
      EXPECT_EQ(pixels.data()[i], expected[orientation][i / 2] - i % 2 * 32) << orientation;
    }
  }
}

TEST(Orientation, IsReadInEitherOrderOfBytes) {
  for (std::size_t orientation = 1; orientation <= 8; ++orientation) {
    for (bool is_little : {false, true}) {
      const std::string note = exif(orientation, is_little);
      EXPECT_EQ(orientation_of(note, ""), orientation);
      EXPECT_EQ(orientation_of(kExifMark + note, ""), orientation);
      EXPECT_EQ(orientation_of(kExifMark + kExifMark + note, ""), orientation);
      EXPECT_EQ(orientation_of("?" + note, ""), 1);
    }
  }
}

TEST(Orientation, IsANumberOfTwoOrFourBytes) {
  for (bool is_little : {false, true}) {
    EXPECT_EQ(orientation_of(exif(6, is_little, 4), ""), 6);
    EXPECT_EQ(orientation_of(exif(6, is_little, 1), ""), 1);
    EXPECT_EQ(orientation_of(exif(6, is_little, 77), ""), 1);
  }
}

// An editor's XMP counts where EXIF has no such tag; one that says 0, 1 or 9 is there.
TEST(Orientation, OfXmpCountsWhereExifHasNone) {
  for (bool is_element : {false, true}) {
    EXPECT_EQ(orientation_of("", xmp(8, is_element)), 8);
    EXPECT_EQ(orientation_of(exif(6), xmp(8, is_element)), 6);
    for (std::size_t present : {0, 1, 9}) {
      EXPECT_EQ(orientation_of(exif(present), xmp(8, is_element)), 1);
    }
    EXPECT_EQ(orientation_of(exif(6, true, 1), xmp(8, is_element)), 1);  // a byte is there too
  }
  EXPECT_EQ(orientation_of("", "tiff:Orientation tiff:Orientation=\"x\" tiff:Orientation>3"), 3);
  EXPECT_EQ(orientation_of("", "tiff:Orientation"), 1);
  EXPECT_EQ(orientation_of("", "tiff:Orientation=\""), 1);
}

// The first of two counts, unless an entry in front of it points outside.
TEST(Orientation, IsTheFirstThatCanBeRead) {
  const auto entry = [](std::size_t tag, std::size_t type, std::size_t count, std::size_t value) {
    return number(tag, 2) + number(type, 2) + number(count, 4) + number(value, 4);
  };
  const auto two = [&](const std::string& first, const std::string& second) {
    return orientation_of(
        "MM\0\x2a"s + number(8, 4) + number(2, 2) + first + second + "\0\7\0\0\0\0"s, xmp(2));
  };
  const std::string right = entry(0x112, 3, 1, 6 << 16), left = entry(0x112, 3, 1, 8 << 16);
  EXPECT_EQ(two(right, left), 6);
  EXPECT_EQ(two(entry(0x110, 2, 6, 30), left), 8);
  EXPECT_EQ(two(entry(0x110, 2, 6, 40), left), 2);    // outside
  EXPECT_EQ(two(entry(0x110, 2, 999, 40), left), 8);  // longer than the file
  EXPECT_EQ(two(entry(0x112, 3, 0, 6), left), 8);     // no value
  EXPECT_EQ(two(entry(0x112, 99, 1, 6), left), 8);    // no type
  EXPECT_EQ(two(entry(0x112, 3, 3, 34), left), 7);    // elsewhere, the first of three
}

TEST(Orientation, ThatIsCutOffIsNone) {
  const std::string whole = exif(6);
  for (std::size_t size = 0; size < 22; ++size) {
    EXPECT_EQ(orientation_of(whole.substr(0, size), ""), 1) << size;
  }
  std::string far = whole;
  far[4] = '\xff';  // where the first directory is
  EXPECT_EQ(orientation_of(far, ""), 1);
  EXPECT_EQ(orientation_of(far, xmp(8)), 8);
  EXPECT_EQ(orientation_of("II*", xmp(8)), 1);  // EXIF is there, and says nothing
}

TEST(Orientation, OfAJpegIsInItsSegments) {
  const auto noted = [](const std::string& note) { return with_segment(baseline(), '\xe1', note); };
  EXPECT_EQ(jpeg(baseline()), 1);
  EXPECT_EQ(jpeg(bytes_of(kPictures + "orientation.jpg")), 6);
  EXPECT_EQ(jpeg(noted(kExifMark + exif(5))), 5);
  EXPECT_EQ(jpeg(noted(kXmpMark + xmp(7))), 7);
  EXPECT_EQ(jpeg(noted("Exif\0"s + exif(5))), 1);
  EXPECT_EQ(jpeg(with_segment(noted(kExifMark + exif(3)), '\xe1', kExifMark + exif(8))),
            8);  // first
  EXPECT_EQ(jpeg(with_segment(baseline(), '\xe2', kExifMark + exif(5))), 1);
}

TEST(Orientation, OfAPngIsInItsChunks) {
  const std::string hex = "\nexif\n      32\n" + [] {
    std::string digits;
    for (char c : kExifMark + exif(6)) {
      for (int half : {c >> 4 & 15, c & 15}) digits += "0123456789abcdef"[half];
      if (digits.size() % 73 == 72) digits += '\n';
    }
    return digits;
  }();
  for (const std::string before : {"IDAT", "IEND"}) {
    const auto noted = [&](const std::string& type, const std::string& content) {
      return png(with_chunk(rgb(), png_chunk(type, content), before));
    };
    EXPECT_EQ(noted("eXIf", exif(6)), 6);
    EXPECT_EQ(noted("eXIf", kExifMark + exif(6, false)), 6);
    EXPECT_EQ(noted("tEXt", "Raw profile type exif\0"s + hex), 6);
    EXPECT_EQ(noted("tEXt", "Raw profile type APP1\0"s + hex), 1);
    EXPECT_EQ(noted("tEXt", "XML:com.adobe.xmp\0"s + xmp(5)), 5);
    EXPECT_EQ(noted("iTXt", "XML:com.adobe.xmp\0\0\0en\0key\0"s + xmp(5)), 5);
    EXPECT_EQ(noted("zTXt", "Raw profile type exif\0\0"s + packed(hex)), 6);
    EXPECT_EQ(noted("iTXt", "XML:com.adobe.xmp\0\1\0en\0key\0"s + packed(xmp(5))), 5);
    EXPECT_EQ(noted("iTXt", "XML:com.adobe.xmp\0\2"s), 1);
    EXPECT_EQ(noted("zTXt", "Raw profile type exif\0\0damaged"s), 1);
  }
  EXPECT_EQ(png(rgb()), 1);
}

TEST(Orientation, IsAppliedUnlessIgnored) {
  const std::string turned = with_chunk(rgb(), png_chunk("eXIf", exif(3)));
  EXPECT_TRUE(same(decoded(turned, "a.png", {.turns = false}), pattern()));
  const RgbImage image = decoded(turned), upright = pattern();
  for (Index i = 0; i < 35; ++i) {
    EXPECT_EQ(image.view().data()[3 * i], upright.view().data()[3 * (34 - i)]);
  }
}

}  // namespace
}  // namespace paligemma
