#include "processing/formats/webp.h"

#include <cstdint>
#include <string>

#include "processing/formats/webp_notes.h"
#include "tests/support/pictures.h"

namespace paligemma {
namespace {

using namespace test;
using namespace std::string_literals;

bool is_read() { return !formats::webp_decoder().empty(); }
std::string webp(const std::string& name) { return bytes_of(kPictures + "webp/" + name + ".webp"); }

int orientation(const std::string& file) {
  return formats::webp_orientation(std::as_bytes(std::span(file)));
}

std::string chunk(const std::string& name, const std::string& content) {
  return name + number(content.size(), 4, true) + content + std::string(content.size() % 2, '\0');
}

std::string riff(const std::string& chunks) {
  return "RIFF" + number(chunks.size() + 4, 4, true) + "WEBP" + chunks;
}

// The extended format of 23 x 17 pixels, with bits for EXIF (8) and XMP (4).
std::string extended(char flags, const std::string& notes) {
  return riff(chunk("VP8X", flags + "\0\0\0\x16\0\0\x10\0\0"s) + webp("lossless").substr(12) +
              notes);
}

// Hashes of what Pillow 13.0.0, with libwebp 1.6.0, makes of these files (tests/data/make_data.py). The
// smaller frame lies on zeros, not on the file's background.
TEST(Webp, OfEveryKindGivesPillowsPixels) {
  if (!is_read()) GTEST_SKIP() << "no libwebp in this build";
  struct Kind {
    const char* name;
    Index channels;
    std::uint64_t hash;
  };
  for (const Kind& kind : {Kind{"lossy", 3, 0x17f0ecbaeb4993e3},
                           {"lossless", 3, 0x1180dded7a044b06},
                           {"lossy_alpha", 4, 0x8d70a668c0013824},
                           {"lossless_alpha", 4, 0x7fe0c47a3756422c},
                           {"animation", 4, 0x1f0d944f895fa8c9},
                           {"small_frame", 4, 0xce08ea9bb3f8e0a8}}) {
    const std::string file = webp(kind.name);
    const formats::Picture picture = formats::decode_webp(std::as_bytes(std::span(file)));
    EXPECT_EQ(picture.pixels.view().shape(),
              (View<const std::uint8_t, 3>::Shape{17, 23, kind.channels}))
        << kind.name;
    EXPECT_EQ(hash_of(picture.pixels), kind.hash) << kind.name;
  }
  EXPECT_TRUE(same(read_image(kPictures + "webp_named.png"), pattern()));
}

TEST(Webp, IsNamedWhereItIsNotRead) {
  if (is_read()) GTEST_SKIP() << "it is read";
  EXPECT_EQ(
      refusal(webp("lossy"), "a.webp"),
      "a.webp: looks like WebP, which this build does not read; convert it: dwebp IN -o OUT.png");
}

TEST(Webp, ThatIsCutOffIsRefused) {
  if (!is_read()) GTEST_SKIP() << "no libwebp in this build";
  for (const std::string name : {"lossy", "lossless_alpha", "small_frame"}) {
    const std::string whole = webp(name);
    for (std::size_t size = 12; size < whole.size(); ++size) {
      EXPECT_EQ(refusal(whole.substr(0, size), "a.webp"), "a.webp: the WebP is cut off") << size;
    }
  }
}

TEST(Webp, OfTheWrongSizeIsRefusedAndBytesBehindItAreNot) {
  if (!is_read()) GTEST_SKIP() << "no libwebp in this build";
  for (const std::string name : {"lossy", "lossless"}) {
    const std::string whole = webp(name);
    EXPECT_EQ(refusal(whole + "behind"), "");
    for (int more : {-3, -2, -1, 1, 2, 100}) {
      std::string other = whole;
      other.replace(4, 4, number(whole.size() - 8 + static_cast<std::size_t>(more), 4, true));
      EXPECT_EQ(refusal(other, "a"),
                more < 0 ? "a: looks like WebP, but is damaged" : "a: the WebP is cut off");
    }
  }
}

TEST(Webp, IsTurnedAsItsNotesSay) {
  EXPECT_EQ(orientation(extended(8, chunk("EXIF", exif(6)))), 6);
  EXPECT_EQ(orientation(extended(8, chunk("EXIF", "Exif\0\0"s + exif(5, false)))), 5);
  EXPECT_EQ(orientation(extended(4, chunk("XMP ", xmp(8)))), 8);
  EXPECT_EQ(orientation(extended(12, chunk("EXIF", exif(9)) + chunk("XMP ", xmp(8)))), 1);
  EXPECT_EQ(orientation(extended(8, chunk("EXIF", exif(3)) + chunk("EXIF", exif(8)))), 3);
  EXPECT_EQ(orientation(extended(0, chunk("EXIF", exif(6)))), 1);       // its bit is not set
  EXPECT_EQ(orientation(extended(8, "") + chunk("EXIF", exif(6))), 1);  // behind the file
  EXPECT_EQ(orientation(webp("lossless")), 1);
  EXPECT_EQ(orientation("RIFF"), 1);
  if (is_read()) {
    const RgbImage image = decoded(extended(8, chunk("EXIF", exif(6))));
    EXPECT_EQ(shape_text(image.view()), "[23, 17, 3]");
  }
}

}  // namespace
}  // namespace paligemma
