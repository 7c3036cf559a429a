#include "processing/formats/others.h"

#include <algorithm>
#include <array>

namespace paligemma::formats {
namespace {

using namespace std::string_view_literals;

constexpr auto kMagick = "magick IN OUT.png"sv;  // convert IN OUT.png in ImageMagick 6
constexpr auto kJpegXl = "djxl IN OUT.png"sv, kJpeg2000 = "opj_decompress -i IN -o OUT.png"sv;
constexpr auto kSvg = "rsvg-convert IN -o OUT.png"sv;
constexpr auto kFilm = "ffmpeg -i IN -frames:v 1 OUT.png"sv;

struct Other {
  std::size_t offset;
  std::string_view bytes, format, command;
};

// clang-format off
constexpr std::array<Other, 32> kOthers{{
    {0, "II*\0"sv, "TIFF", kMagick},
    {0, "MM\0*"sv, "TIFF", kMagick},
    {0, "II+\0"sv, "BigTIFF", kMagick},
    {0, "MM\0+"sv, "BigTIFF", kMagick},
    {0, "\0\0\0\x0cjP  "sv, "JPEG 2000", kJpeg2000},
    {0, "\xff\x4f\xff\x51"sv, "JPEG 2000", kJpeg2000},
    {0, "\xff\x0a"sv, "JPEG XL", kJpegXl},
    {0, "\0\0\0\x0cJXL "sv, "JPEG XL", kJpegXl},
    {0, "II\xbc\1"sv, "JPEG XR", "JxrDecApp -i IN -o OUT.bmp"},
    {0, "\0\0\1\0"sv, "ICO", "icotool -x IN"},
    {0, "icns"sv, "ICNS", "icns2png -x IN"},
    {12, "CgBI"sv, "Apple's PNG (CgBI)", "pngcrush -revert-iphone-optimizations IN OUT.png"},
    {0, "P7\n"sv, "PAM", kMagick},
    {0, "Pf\n"sv, "PFM", kMagick},
    {0, "PF\n"sv, "PFM", kMagick},
    {0, "8BPS"sv, "PSD", "magick IN[0] OUT.png"},
    {0, "gimp xcf"sv, "XCF", "xcf2png IN -o OUT.png"},
    {0, "%PDF"sv, "PDF", "pdftoppm -png -r 150 -singlefile IN OUT"},
    {0, "%!PS"sv, "PostScript", "magick -density 150 IN OUT.png"},
    {0, "AT&TFORM"sv, "DjVu", "ddjvu -format=ppm -page=1 IN OUT.ppm"},
    {0, "<svg"sv, "SVG", kSvg},
    {0, "<?xml"sv, "XML or SVG", kSvg},
    {0, "#?RADIANCE"sv, "Radiance HDR", kMagick},
    {0, "#?RGBE"sv, "Radiance HDR", kMagick},
    {0, "v/1\1"sv, "OpenEXR", kMagick},
    {0, "DDS "sv, "DDS", kMagick},
    {0, "qoif"sv, "QOI", kMagick},
    {0, "\x53\x80\xf6\x34"sv, "Softimage PIC", kMagick},
    {0, "\x8aMNG\r\n\x1a\n"sv, "MNG", kMagick},
    {0, "\x8bJNG\r\n\x1a\n"sv, "JNG", kMagick},
    {0, "\x1a\x45\xdf\xa3"sv, "a film", kFilm},
    {8, "AVI "sv, "a film", kFilm}}};

// Formats of one container, each told by the beginning of a brand; the first that any brand of a file
// has. Whatever else has brands is a film.
constexpr std::array<Other, 8> kBrands{{
    {0, "avi", "AVIF", "avifdec IN OUT.png"},
    {0, "hei", "HEIC", "heif-convert IN OUT.png"},
    {0, "hev", "HEIC", "heif-convert IN OUT.png"},
    {0, "mif", "HEIF", "heif-convert IN OUT.png"},
    {0, "msf", "HEIF", "heif-convert IN OUT.png"},
    {0, "jp", "JPEG 2000", kJpeg2000},
    {0, "crx", "a camera's raw file", kMagick},
    {0, "", "a film", kFilm}}};
// clang-format on

// A box: its size, "ftyp", a brand, four bytes for the version, more brands.
const Other* other_by_brand(Bytes file) {
  const std::string_view text = characters(file);
  if (text.substr(std::min<std::size_t>(4, text.size()), 4) != "ftyp") return nullptr;
  const std::string_view box =
      text.substr(0, std::clamp<std::size_t>(big_endian(file, 0, 4), 12, 256));
  for (const Other& brand : kBrands) {
    for (std::size_t at = 8; at + 4 <= box.size(); at += at == 8 ? 8 : 4) {
      if (box.substr(at).starts_with(brand.bytes)) return &brand;
    }
  }
  return nullptr;
}

const Other* other_by_beginning(Bytes file) {
  const std::string_view text = characters(file);
  const auto* other = std::find_if(kOthers.begin(), kOthers.end(), [&](const Other& each) {
    return text.size() >= each.offset && text.substr(each.offset).starts_with(each.bytes);
  });
  return other == kOthers.end() ? nullptr : other;
}

}  // namespace

std::string another_format(Bytes file) {
  const Other* other = other_by_brand(file);
  if (!other) other = other_by_beginning(file);
  if (!other) return "";
  return "looks like " + std::string(other->format) +
         ", which is not read here; convert it: " + std::string(other->command);
}

}  // namespace paligemma::formats
