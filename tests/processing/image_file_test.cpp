#include "processing/image_file.h"

#include <random>
#include <string>

#include "tensor/errors.h"
#include "tests/support/compare.h"
#include "tests/support/pictures.h"
#include "tests/support/source_dir.h"
#include "tests/support/temporary_folder.h"

namespace paligemma {
namespace {

using namespace test;
using namespace std::string_literals;

// docs/processing/image_file.md, "By hand".
TEST(ImageFile, WorkedExample) {
  const auto image = decoded(
      "P6\n# two pixels\n2 1\n255\n"
      "\xff\x80\x10"
      "ABC");
  const std::uint8_t expected[]{255, 128, 16, 65, 66, 67};
  ASSERT_EQ(shape_text(image.view()), "[1, 2, 3]");
  for (Index i = 0; i < 6; ++i) EXPECT_EQ(image.view().data()[i], expected[i]);
}

TEST(ImageFile, ReadsTheSameColoursFromEveryKind) {
  for (const std::string name : {"rgb.png", "rgba.png", "palette.png", "palette_transparent.png",
                                 "interlaced.png", "rgb16.png", "rgb.bmp", "rgba.bmp",
                                 "palette.bmp", "palette.gif", "rgb.ppm", "rgb.tga", "rgba.tga"}) {
    EXPECT_TRUE(same(read_image(kPictures + name), pattern())) << name;
  }
}

// The hash is of what transformers 5.23.0's convert_to_rgb makes of a picture with every colour under every
// alpha; 90 under alpha 128 is 172 there.
TEST(ImageFile, BlendsTransparencyWithWhiteOrDropsIt) {
  std::string tga =
      "\0\0\2\0\0\0\0\0\0\0\0\0\0\1\0\1\x20\x28"s;  // 256 x 256, from the top, B G R A
  for (int alpha = 0; alpha < 256; ++alpha) {
    for (int c = 0; c < 256; ++c) {
      for (int byte : {7 * c, 255 - c, c, alpha}) tga += static_cast<char>(byte);
    }
  }
  const RgbImage blended = decoded(tga, "a.tga", {.blends_alpha = true});
  EXPECT_EQ(hash_of(blended), 0xf96446ea8b8e9c47);
  EXPECT_EQ(blended.view()(128, 90, 0), 172);
  const RgbImage dropped = decoded(tga, "a.tga");
  for (Index alpha : {0, 1, 128, 255}) EXPECT_EQ(dropped.view()(alpha, 90, 0), 90);
}

// Pillow's convert("RGB") clips a 16-bit grey picture at 255, which makes it all but white; here it
// is its upper byte, as it is for 16-bit colour in both.
TEST(ImageFile, ReadsGreyAsThreeEqualChannels) {
  for (const std::string name : {"grey.png", "grey_alpha.png", "grey16.png", "grey.pgm"}) {
    EXPECT_TRUE(same(read_image(kPictures + name), pattern(true))) << name;
  }
}

TEST(ImageFile, GoesByTheContentNotTheName) {
  EXPECT_TRUE(same(decoded(bytes_of(kPictures + "rgb.bmp"), "picture.jpg"), pattern()));
}

TEST(ImageFile, SaysWhatIsMissing) {
  EXPECT_EQ(refusal_of([] { read_image("no/such.png"); }), "no/such.png: no such file");
  const std::string folder = ::testing::TempDir();
  EXPECT_EQ(refusal_of([&] { read_image(folder); }), folder + ": is a folder");
  EXPECT_EQ(refusal("", "nothing.png"), "nothing.png: the file is empty");
}

TEST(ImageFile, SaysWhatAnUnknownFormatLooksLike) {
  const std::string path = kPictures + "tiff_named.png";
  EXPECT_EQ(refusal_of([&] { read_image(path); }),
            path + ": looks like TIFF, which is not read here; convert it: magick IN OUT.png");
  EXPECT_NE(refusal(bytes_of(kPictures + "svg_named.png")).find("SVG"), std::string::npos);
}

TEST(ImageFile, RefusesRandomBytes) {
  std::mt19937 bits(1);
  for (int size : {1, 2, 7, 255, 257, 5000}) {
    std::string noise(static_cast<std::size_t>(size), '\0');
    for (char& c : noise) c = static_cast<char>(bits());
    EXPECT_EQ(refusal(noise, "noise"), "noise: not a picture of a known format") << size;
    EXPECT_NE(refusal("\x89PNG\r\n\x1a\n" + noise), "");
    EXPECT_NE(refusal("\xff\xd8\xff" + noise), "");
    EXPECT_NE(refusal("GIF89a" + noise), "");
    EXPECT_NE(refusal("P6 " + noise), "");
  }
  EXPECT_NE(refusal("BMW is a make of car"), "");
}

TEST(ImageFile, RefusesEveryShorterFile) {
  for (const std::string name :
       {"baseline.jpg", "progressive.jpg", "subsampled.jpg", "orientation.jpg", "cmyk.jpg",
        "rgba.bmp", "rgb.ppm", "grey.pgm"}) {
    const std::string whole = bytes_of(kPictures + name);
    for (std::size_t size = 0; size < whole.size(); ++size) {
      EXPECT_NE(refusal(whole.substr(0, size), name), "") << name << " at " << size;
    }
  }
}

TEST(ImageFile, SaysThatAFileIsCutOff) {
  const std::string png = bytes_of(kPictures + "rgb.png");
  const std::string jpeg = bytes_of(kPictures + "baseline.jpg");
  EXPECT_EQ(refusal(png.substr(0, 60), "a.png"), "a.png: the PNG is cut off");
  EXPECT_EQ(refusal(jpeg.substr(0, 700), "a.jpg"), "a.jpg: the JPEG is cut off");
}

TEST(ImageFile, ReadsAPictureWithBytesBehindIt) {
  for (const std::string name : {"rgb.png", "rgb.bmp", "palette.gif", "rgb.ppm"}) {
    EXPECT_TRUE(same(decoded(bytes_of(kPictures + name) + "behind", name), pattern())) << name;
  }
}

TEST(ImageFile, SaysWhatIsNoPictureAtAll) {
  EXPECT_EQ(refusal("\n <!doctype HTML><title>", "a"),
            "a: looks like an HTML page; download the file itself, which may need a login");
  EXPECT_EQ(refusal("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n", "a.png"),
            "a.png: looks like a Git LFS pointer; fetch the file itself: git lfs pull");
}

TEST(ImageFile, RefusesAPictureWithoutPixels) {
  EXPECT_EQ(refusal("P6 0 4 255 ", "a.ppm"), "a.ppm: has no pixels");
}

TEST(ImageFile, RefusesEnormousDimensionsBeforeMakingRoom) {
  EXPECT_EQ(refusal("P6 15367 15365 255 ", "a.ppm"),
            "a.ppm: 15367 x 15365 pixels are more than the 178956970 that are read");
  EXPECT_NE(refusal("P6 99999 99999 255 "), "");
}

}  // namespace
}  // namespace paligemma
