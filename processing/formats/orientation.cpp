#include "processing/formats/orientation.h"

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <utility>

namespace paligemma::formats {
namespace {

using namespace std::string_view_literals;

// Bytes of a TIFF value by its type; 0: no type.
constexpr std::array<std::size_t, 14> kSizes{0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4};

bool is_integer(std::size_t type) {
  return type == 3 || type == 4 || type == 6 || type == 8 || type == 9 || type == 13;
}

// A TIFF file: "II" or "MM" for its order of bytes, 42, where the first directory is; that has a count,
// then 12 bytes an entry: tag, type, count, and the value, or where it is if 4 bytes do not hold it.
//
// The first of several tags counts. As by Pillow, an entry that is longer than the file is passed over, and
// what stands behind one that points outside is not read. A value that is no integer is there and says
// nothing, and so does EXIF that is no TIFF file.
std::optional<std::size_t> exif_tag(std::string_view exif) {
  constexpr std::size_t kOrientation = 0x112, kHeader = 8, kEntry = 12;
  for (int i = 0; i < 2 && exif.starts_with("Exif\0\0"sv); ++i) exif.remove_prefix(6);
  if (exif.empty()) return {};
  const bool is_little = exif.starts_with("II*\0"sv);
  if ((!is_little && !exif.starts_with("MM\0*"sv)) || exif.size() < kHeader) return 0;
  const auto bytes = std::as_bytes(std::span(exif));
  const auto number = [&](std::size_t at, int size) {
    return is_little ? little_endian(bytes, at, size) : big_endian(bytes, at, size);
  };
  const std::size_t directory = number(4, 4), entries = number(directory, 2);
  std::size_t elsewhere = 0;  // bytes of values so far
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t at = directory + 2 + kEntry * i;
    if (at + kEntry > exif.size()) return {};
    const std::size_t type = number(at + 2, 2);
    const std::size_t size = type < kSizes.size() ? number(at + 4, 4) * kSizes[type] : 0;
    const std::size_t value = size > 4 ? number(at + 8, 4) : at + 8;
    elsewhere += size > 4 ? size : 0;
    if (size > 4 && elsewhere > exif.size()) continue;
    if (value + size > exif.size()) return {};
    if (number(at, 2) != kOrientation || size == 0) continue;
    return is_integer(type) ? number(value, static_cast<int>(kSizes[type])) : 0;
  }
  return {};
}

// As an attribute or as an element, of one digit.
std::optional<std::size_t> xmp_tag(std::string_view xmp) {
  constexpr std::string_view kName = "tiff:Orientation";
  for (std::size_t at = 0; (at = xmp.find(kName, at)) != xmp.npos;) {
    std::string_view value = xmp.substr(at += kName.size());
    if (value.starts_with("=\"")) {
      value.remove_prefix(2);
    } else if (value.starts_with(">")) {
      value.remove_prefix(1);
    } else {
      continue;
    }
    if (!value.empty() && value[0] >= '0' && value[0] <= '9') return value[0] - '0';
  }
  return {};
}

}  // namespace

int orientation_of(std::string_view exif, std::string_view xmp) {
  std::optional<std::size_t> tag = exif_tag(exif);
  if (!tag) tag = xmp_tag(xmp);
  return tag && *tag >= 1 && *tag <= 8 ? static_cast<int>(*tag) : 1;
}

Picture upright(Picture picture, int orientation) {
  if (orientation == 1) return picture;
  const auto from = std::as_const(picture.pixels).view();
  const Index H = from.size(0), W = from.size(1), C = from.size(2);
  const auto is_one_of = [&](std::initializer_list<int> some) {
    return std::find(some.begin(), some.end(), orientation) != some.end();
  };
  const bool swaps = orientation >= 5;
  const bool upside_down = is_one_of({3, 4, 6, 7}), mirrored = is_one_of({2, 3, 7, 8});
  Picture turned{Buffer<std::uint8_t, 3>({swaps ? W : H, swaps ? H : W, C}, unwritten)};
  const auto to = turned.pixels.view();
  for (Index y = 0; y < to.size(0); ++y) {
    for (Index x = 0; x < to.size(1); ++x) {
      const Index row = swaps ? x : y, column = swaps ? y : x;
      const auto* pixel =
          &from(upside_down ? H - 1 - row : row, mirrored ? W - 1 - column : column, 0);
      std::copy_n(pixel, C, &to(y, x, 0));
    }
  }
  return turned;
}

}  // namespace paligemma::formats
