#include "processing/formats/others.h"

#include <string>

#include "processing/formats/picture.h"
#include "tests/support/pictures.h"

namespace paligemma {
namespace {

using namespace test;
using namespace std::string_literals;

std::string said(const std::string& file) {
  return formats::another_format(std::as_bytes(std::span(file)));
}

std::string converted(const std::string& format, const std::string& command) {
  return "looks like " + format + ", which is not read here; convert it: " + command;
}

// A box of brands, the first, a version, then the others.
std::string brands(const std::string& first, const std::string& others = "") {
  return number(16 + others.size(), 4) + "ftyp" + first + "\0\0\0\0"s + others + "\0\0\0\x08meta"s;
}

TEST(Other, IsNamedWithACommandThatConvertsIt) {
  const std::string magick = "magick IN OUT.png";
  for (const std::string& begin : {"II*\0"s, "MM\0*"s})
    EXPECT_EQ(said(begin), converted("TIFF", magick));
  for (const std::string& begin : {"II+\0"s, "MM\0+"s}) {
    EXPECT_EQ(said(begin), converted("BigTIFF", magick));
  }
  for (const std::string& begin : {"\0\0\0\x0cjP  \r\n\x87\n"s, "\xff\x4f\xff\x51\0"s}) {
    EXPECT_EQ(said(begin), converted("JPEG 2000", "opj_decompress -i IN -o OUT.png"));
  }
  for (const std::string& begin : {"\xff\x0a"s, "\0\0\0\x0cJXL \r\n\x87\n"s}) {
    EXPECT_EQ(said(begin), converted("JPEG XL", "djxl IN OUT.png"));
  }
  EXPECT_EQ(said("\0\0\1\0\1\0"s), converted("ICO", "icotool -x IN"));
  EXPECT_EQ(said("8BPS\0\1"s), converted("PSD", "magick IN[0] OUT.png"));
  EXPECT_EQ(said("%PDF-1.7"), converted("PDF", "pdftoppm -png -r 150 -singlefile IN OUT"));
  EXPECT_EQ(said("<svg xmlns="), converted("SVG", "rsvg-convert IN -o OUT.png"));
  EXPECT_EQ(said("\x89PNG\r\n\x1a\n\0\0\0\4CgBI"s),
            converted("Apple's PNG (CgBI)", "pngcrush -revert-iphone-optimizations IN OUT.png"));
}

TEST(Other, IsToldByAnyOfItsBrands) {
  for (const std::string brand : {"heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs"}) {
    EXPECT_EQ(said(brands(brand)), converted("HEIC", "heif-convert IN OUT.png")) << brand;
    EXPECT_EQ(said(brands("mif1", "mif1" + brand)), converted("HEIC", "heif-convert IN OUT.png"));
  }
  for (const std::string brand : {"avif", "avis"}) {
    EXPECT_EQ(said(brands(brand, "mif1miaf")), converted("AVIF", "avifdec IN OUT.png"));
    EXPECT_EQ(said(brands("mif1", brand)), converted("AVIF", "avifdec IN OUT.png"));
  }
  for (const std::string brand : {"mif1", "msf1", "mif2"}) {
    EXPECT_EQ(said(brands(brand)), converted("HEIF", "heif-convert IN OUT.png")) << brand;
  }
  EXPECT_EQ(said(brands("isom", "mp42")), converted("a film", "ffmpeg -i IN -frames:v 1 OUT.png"));
}

TEST(Other, SaysNothingOfWhatItDoesNotKnow) {
  EXPECT_EQ(said("anything else"), "");
  EXPECT_EQ(said(""), "");
  for (std::size_t size = 0; size < 12; ++size) EXPECT_EQ(said(brands("heic").substr(0, size)), "");
}

TEST(Other, IsNoneOfThoseThatAreRead) {
  for (const std::string name : {"rgb.png", "baseline.jpg", "rgb.bmp", "palette.gif", "rgb.ppm",
                                 "grey.pgm", "rgb.tga", "rgba.tga", "webp_named.png"}) {
    EXPECT_EQ(said(bytes_of(kPictures + name)), "") << name;
  }
}

// Pillow's limit, above which it refuses a picture as a bomb.
TEST(Size, IsLimited) {
  EXPECT_NO_THROW(formats::check_size(178'956'970, 1));
  EXPECT_NO_THROW(formats::check_size(12'000, 9'000));  // a phone's 108 million
  EXPECT_THROW(formats::check_size(178'956'971, 1), ImageError);
  EXPECT_THROW(formats::check_size(1, 178'956'971), ImageError);
  EXPECT_THROW(formats::check_size(~std::size_t{0}, ~std::size_t{0}), ImageError);
  EXPECT_THROW(formats::check_size(0, 5), ImageError);
  EXPECT_THROW(formats::check_size(5, 0), ImageError);
}

}  // namespace
}  // namespace paligemma
