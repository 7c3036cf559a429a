#include "processing/formats/jpeg.h"

#include <cstdint>
#include <string>

#include "processing/formats/jpeg_decoder.h"
#include "processing/formats/jpeg_segments.h"
#include "tests/support/pictures.h"

namespace paligemma {
namespace {

using namespace test;
using namespace std::string_literals;

bool is_turbo() { return formats::jpeg_decoder().starts_with("libjpeg-turbo"); }

RgbImage jpeg(const std::string& name) { return read_image(kPictures + name + ".jpg"); }
RgbImage png(const std::string& name) { return read_image(kPictures + name + ".png"); }

// From Pillow's pixels stb_image's differ by at most so many units: by how cosines and colours are
// rounded, and by how halved colours are spread.
TEST(Jpeg, IsReadAsByPillowOrAlmost) {
  const int few = is_turbo() ? 0 : 2;
  EXPECT_TRUE(same(jpeg("baseline"), png("baseline_jpg_expected"), few));
  EXPECT_TRUE(same(jpeg("progressive"), png("baseline_jpg_expected"), few));
  EXPECT_TRUE(same(jpeg("subsampled"), png("subsampled_jpg_expected"), few));
  EXPECT_TRUE(same(jpeg("grey"), png("grey_jpg_expected")));
  EXPECT_TRUE(same(jpeg("cmyk"), png("cmyk_jpg_expected"), few / 2));
}

// Hashes of what Pillow 13.0.0, with libjpeg-turbo 3.2.0, makes of these files (tests/data/make_data.py).
struct Kind {
  const char* name;
  std::uint64_t hash;
};

void expect_pillows(std::initializer_list<Kind> kinds) {
  if (!is_turbo()) GTEST_SKIP() << "stb_image gives other pixels";
  for (const Kind& kind : kinds) {
    const RgbImage image = jpeg("jpeg/" + std::string(kind.name));
    EXPECT_EQ(shape_text(image.view()), "[17, 23, 3]") << kind.name;
    EXPECT_EQ(hash_of(image), kind.hash) << kind.name;
  }
}

TEST(Jpeg, OfEverySubsamplingGivesPillowsPixels) {
  expect_pillows({{"444", 0xc29ee0a6879f8f41},
                  {"422", 0xa82d2a2455498098},
                  {"420", 0x40928783b1f8384f},
                  {"440", 0xcf356f664d201443},
                  {"411", 0x457c6452039e0e57},
                  {"410", 0x1c0ce53ddc552eb5},
                  {"grey", 0xf30c0fc1eab679ee}});
}

TEST(Jpeg, OfEveryCodingGivesPillowsPixels) {
  expect_pillows({{"444_progressive", 0xc29ee0a6879f8f41},
                  {"422_progressive", 0xa82d2a2455498098},
                  {"420_progressive", 0x40928783b1f8384f},
                  {"420_restart", 0x40928783b1f8384f},
                  {"420_arithmetic", 0x40928783b1f8384f},
                  {"420_arithmetic_progressive", 0x40928783b1f8384f}});
}

// A JFIF marker means YCbCr whatever else stands there; else Adobe's 0 is RGB; else the ids R, G, B are.
TEST(Jpeg, OfThreeComponentsHasPillowsColours) {
  expect_pillows({{"123", 0xc29ee0a6879f8f41},
                  {"123_adobe0", 0x627050a43a32940b},
                  {"123_adobe1", 0xc29ee0a6879f8f41},
                  {"rgb", 0xa0bcefd65d363c03},
                  {"rgb_adobe0", 0xa0bcefd65d363c03},
                  {"rgb_adobe1", 0xd66e27b862b5f576},
                  {"rgb_jfif", 0xd66e27b862b5f576},
                  {"rgb_jfif_adobe0", 0xd66e27b862b5f576}});
}

// Always inverted; Adobe's 1 and 2 are YCCK.
TEST(Jpeg, OfFourComponentsHasPillowsColours) {
  expect_pillows({{"cmyk", 0xe03b08011e5d5802},
                  {"cmyk_adobe0", 0xe03b08011e5d5802},
                  {"cmyk_adobe1", 0x614fcbc112d55a3c},
                  {"cmyk_adobe2", 0x614fcbc112d55a3c},
                  {"cmyk_jfif", 0xe03b08011e5d5802}});
}

TEST(Jpeg, ThatStbImageWouldReadWrongIsRefused) {
  if (is_turbo()) GTEST_SKIP() << "all of these are read";
  const auto refused = [](const std::string& name) {
    return refusal(bytes_of(kPictures + "jpeg/" + name + ".jpg"));
  };
  for (const std::string name : {"420_arithmetic", "420_arithmetic_progressive"}) {
    EXPECT_NE(refused(name).find("arithmetic coding"), std::string::npos) << name;
  }
  for (const std::string name :
       {"rgb_adobe1", "rgb_jfif", "rgb_jfif_adobe0", "cmyk", "cmyk_adobe1", "cmyk_jfif"}) {
    EXPECT_NE(refused(name).find("colours this build does not know"), std::string::npos) << name;
  }
  for (const std::string name : {"123", "123_adobe0", "123_adobe1", "rgb", "rgb_adobe0",
                                 "cmyk_adobe0", "cmyk_adobe2", "411", "440"}) {
    EXPECT_EQ(refused(name), "") << name;
  }
}

// The frame's header with another letter or another number of bits or components.
TEST(Jpeg, OfARareKindIsRefusedByName) {
  const std::string file = bytes_of(kPictures + "baseline.jpg");
  const std::size_t frame = file.find("\xff\xc0");
  const auto changed = [&](std::size_t at, int value) {
    std::string other = file;
    other[frame + at] = static_cast<char>(value);
    return refusal(other, "a.jpg");
  };
  const std::string djpeg =
      ", which is not read here; convert it with libjpeg-turbo 3: djpeg IN > OUT.ppm";
  EXPECT_EQ(changed(1, 0xc3), "a.jpg: is a lossless JPEG" + djpeg);
  EXPECT_EQ(changed(1, 0xcb), "a.jpg: is a lossless JPEG" + djpeg);
  EXPECT_EQ(changed(1, 0xc5), "a.jpg: is a hierarchical JPEG" + djpeg);
  EXPECT_EQ(changed(4, 12), "a.jpg: is a JPEG of 12 bits a sample" + djpeg);
  EXPECT_EQ(changed(9, 2), "a.jpg: is a JPEG of 2 components, which are no known colours");
}

// A second picture, a film, a gain map, or whatever else a phone adds: also what looks like a scan or an
// end, and the beginning of a picture that is cut off.
TEST(Jpeg, IsReadWhateverStandsBehindIt) {
  for (const std::string name : {"baseline", "progressive", "subsampled"}) {
    const std::string file = bytes_of(kPictures + name + ".jpg");
    const RgbImage image = decoded(file);
    for (const std::string& tail : {"ftypmp42"s, "\xff\xda"s, "\xff\xd9\xff\xda"s, file,
                                    file.substr(0, file.size() / 2), std::string(1000, '\xff')}) {
      EXPECT_TRUE(same(decoded(file + tail), image)) << name;
    }
  }
}

// Its own end counts, not one in a small picture in its EXIF.
TEST(Jpeg, ThatIsCutOffIsRefusedWhereverItIs) {
  const std::string file = bytes_of(kPictures + "baseline.jpg");
  const std::string noted = with_segment(file, '\xe1', "Exif\0\0"s + file);
  EXPECT_EQ(refusal(noted), "");
  for (std::size_t size = 3; size < noted.size(); size += 7) {
    EXPECT_EQ(refusal(noted.substr(0, size), "a.jpg"), "a.jpg: the JPEG is cut off") << size;
  }
  EXPECT_EQ(refusal(file.substr(0, file.find("\xff\xda")), "a.jpg"), "a.jpg: the JPEG is cut off");
  EXPECT_EQ(refusal(file.substr(0, file.find("\xff\xda")) + "\xff\xd9", "a.jpg"),
            "a.jpg: the JPEG has a header only");
}

// stb_image keeps what its decoder of PNG said when it looked at the same file.
TEST(Jpeg, IsNotBlamedForAnotherFormat) {
  const std::string file = bytes_of(kPictures + "baseline.jpg");
  for (std::size_t at = 2; at < file.size() - 2; ++at) {
    std::string other = file;
    other[at] = static_cast<char>(~other[at]);
    EXPECT_EQ(refusal(other).find("png"), std::string::npos) << at;
  }
}

TEST(Jpeg, OfTooManyScansIsRefused) {
  const std::string file = bytes_of(kPictures + "baseline.jpg");
  std::string many = file.substr(0, file.size() - 2);
  for (int i = 0; i < 1000; ++i) many += jpeg_segment('\xda', "");
  EXPECT_EQ(refusal(many + "\xff\xd9", "a.jpg"), "a.jpg: is a JPEG of more than 1000 scans");
}

// The contents of a segment, which no decoder would take for a file. The second has 17 * 16 codes.
TEST(Jpeg, HuffmanTablesAreWholeAndHave256CodesAtMost) {
  const auto fit = [](const std::string& content) {
    return formats::huffman_tables_fit(std::as_bytes(std::span(content)));
  };
  const std::string none = std::string(17, '\0'), full = '\0' + std::string(16, '\x10');
  EXPECT_TRUE(fit(none));
  EXPECT_TRUE(fit(full + std::string(256, '\1') + none));
  EXPECT_FALSE(fit('\0' + std::string(16, '\x11') + std::string(272, '\1')));
  EXPECT_FALSE(fit(none + '\0'));
  EXPECT_FALSE(fit(none + none.substr(1)));
  EXPECT_FALSE(fit(full + std::string(255, '\1')));
  EXPECT_FALSE(fit(none + '\0' + std::string(16, '\x11') + std::string(272, '\1')));
}

// stb_image would take what was in memory before; libjpeg has tables of its own.
TEST(Jpeg, MeetsMissingHuffmanTablesTheSameWayEveryTime) {
  std::string file = bytes_of(kPictures + "baseline.jpg");
  for (std::size_t at; (at = file.find("\xff\xc4")) != file.npos;) {
    file.erase(at, 2 + static_cast<unsigned char>(file[at + 3]));  // all are shorter than 256
  }
  const auto outcome = [&](char before) {
    EXPECT_EQ(std::string(100'000, before).back(), before);  // this much of the heap
    return is_turbo() ? std::to_string(hash_of(decoded(file))) : refusal(file);
  };
  EXPECT_NE(outcome('\0'), "");
  EXPECT_EQ(outcome('\x7f'), outcome('\0'));
}

}  // namespace
}  // namespace paligemma
