// What is written is read back: processing/image_file.h.
#include "processing/write_image.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "processing/image_file.h"
#include "tensor/check.h"
#include "tests/support/temporary_folder.h"

namespace paligemma {
namespace {

using test::TemporaryFolder;

// Of many colours, each beside others.
RgbImage mixed(Index H, Index W) {
  RgbImage image({H, W, 3});
  for (Index i = 0; i < image.view().count(); ++i) {
    image.view().data()[i] = static_cast<std::uint8_t>(i * i * 37 + i * 11);
  }
  return image;
}

RgbImage decoded(const std::string& file) {
  return decode_image(std::as_bytes(std::span(file)), "written.tga");
}

int largest_difference(const RgbImage& a, const RgbImage& b) {
  EXPECT_EQ(a.view().shape(), b.view().shape());
  int largest = 0;
  for (Index i = 0; i < a.view().count(); ++i) {
    largest = std::max(largest, std::abs(a.view().data()[i] - b.view().data()[i]));
  }
  return largest;
}

TEST(WriteImage, GoesByTheEnding) {
  for (const char* name : {"a.png", "a.b/c.PNG", ".x.png"}) {
    EXPECT_EQ(image_format_of(name), ImageFormat::png) << name;
  }
  EXPECT_EQ(image_format_of("a.jpg"), ImageFormat::jpeg);
  EXPECT_EQ(image_format_of("a.JPEG"), ImageFormat::jpeg);
  EXPECT_EQ(image_format_of("a.bmp"), ImageFormat::bmp);
  EXPECT_EQ(image_format_of("a.tga"), ImageFormat::tga);
  for (const char* name : {"", "a", "png", ".png", "a.png/b", "a.webp", "a.png ", "a.png.gz"}) {
    EXPECT_FALSE(image_format_of(name)) << name;
  }
}

TEST(WriteImage, BeginsAsItsFormatDoes) {
  const auto image = mixed(3, 5);
  EXPECT_TRUE(encode_image(image.view(), ImageFormat::png).starts_with("\x89PNG\r\n\x1a\n"));
  EXPECT_TRUE(encode_image(image.view(), ImageFormat::jpeg).starts_with("\xff\xd8\xff"));
  EXPECT_TRUE(encode_image(image.view(), ImageFormat::bmp).starts_with("BM"));
}

TEST(WriteImage, IsReadBackAsTheSameBytes) {
  for (const ImageFormat format : {ImageFormat::png, ImageFormat::bmp, ImageFormat::tga}) {
    for (Index H : {1, 7, 255}) {
      for (Index W : {1, 7, 257}) {
        const auto image = mixed(H, W);
        const auto read = decoded(encode_image(image.view(), format));
        EXPECT_EQ(largest_difference(read, image), 0) << H << " x " << W;
      }
    }
  }
}

// Thin coloured lines, as boxes are. Pillow 13 at quality 95 is 2 units off, and 115 with a quarter of the
// samples of colour.
TEST(WriteImage, AsAJpegKeepsThinLines) {
  RgbImage image({64, 64, 3});
  std::fill_n(image.view().data(), image.view().count(), std::uint8_t{128});
  for (Index x = 0; x < 64; ++x) {
    image.view()(20, x, 0) = 255, image.view()(20, x, 1) = image.view()(20, x, 2) = 0;
  }
  const auto read = decoded(encode_image(image.view(), ImageFormat::jpeg));
  EXPECT_LE(largest_difference(read, image), 4);  // decoders differ by up to 2
}

TEST(WriteImage, MayBeGrey) {
  Buffer<std::uint8_t, 3> grey({2, 3, 1});
  for (Index i = 0; i < 6; ++i) grey.view().data()[i] = static_cast<std::uint8_t>(51 * i);
  for (const ImageFormat format : {ImageFormat::png, ImageFormat::bmp, ImageFormat::tga}) {
    const RgbImage image = decoded(encode_image(grey.view(), format));
    ASSERT_EQ(image.view().size(0), 2);
    ASSERT_EQ(image.view().size(1), 3);
    for (Index i = 0; i < 18; ++i) EXPECT_EQ(image.view().data()[i], 51 * (i / 3)) << i;
  }
}

TEST(WriteImage, WhoseSideDoesNotFitTheFormatIsRefused) {
  // libjpeg-turbo reads up to 65500.
  const RgbImage wide({1, 65536, 3}), high({65536, 1, 3}), fits({1, 65500, 3});
  for (const ImageFormat format : {ImageFormat::jpeg, ImageFormat::tga}) {
    EXPECT_THROW(encode_image(wide.view(), format), std::runtime_error);
    EXPECT_THROW(encode_image(high.view(), format), std::runtime_error);
    EXPECT_EQ(decoded(encode_image(fits.view(), format)).view().size(1), 65500);
  }
  EXPECT_EQ(decoded(encode_image(wide.view(), ImageFormat::png)).view().size(1), 65536);
}

TEST(WriteImage, SaysThatAFileCannotBeWritten) {
  EXPECT_THROW(write_image("no/such/folder.png", mixed(1, 1).view()), std::runtime_error);
}

TEST(WriteImage, RejectsViewsThatAreNoPictureAndNamesThatAreNoFormat) {
  const TemporaryFolder folder;
  const auto image = mixed(5, 7);
  const View<const std::uint8_t, 3> left(image.view().data(), {5, 3, 3}, image.view().stride());
  const Buffer<std::uint8_t, 3> rgba({5, 7, 4});
  EXPECT_THROW(write_image(folder / "never.png", left), ContractError);
  EXPECT_THROW(write_image(folder / "never.png", rgba.view()), ContractError);
  EXPECT_THROW(write_image(folder / "never.txt", image.view()), ContractError);
}

}  // namespace
}  // namespace paligemma
