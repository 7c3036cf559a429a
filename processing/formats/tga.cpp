#include "processing/formats/tga.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "tensor/errors.h"

namespace paligemma::formats {
namespace {

constexpr std::size_t kMap = 1, kColors = 2, kGrey = 3;  // types; with runs 8 more

struct Header {
  std::size_t type, W, H, bits, map_at, map_first, map_colors, map_bits, pixels_at;
  bool has_map, has_runs, is_from_right, is_from_top;

  std::size_t row_bytes() const { return bits == 1 ? (W + 7) / 8 : W * ((bits + 7) / 8); }
};

using Color = std::array<std::uint8_t, 4>;  // red, green, blue, alpha

std::size_t bytes_of(std::size_t bits) { return (bits + 7) / 8; }

// ---- the header

// By type and bits, what Pillow reads, and 15 bits.
bool is_read(const Header& header) {
  const std::size_t bits = header.bits;
  switch (header.type) {
    case kMap:
      return bits == 8;
    case kColors:
      return bits == 15 || bits == 16 || bits == 24 || bits == 32;
    case kGrey:
      return bits == 8 || bits == 16 || (bits == 1 && !header.has_runs);
    default:
      return false;
  }
}

Header read_header(Bytes file) {
  if (file.size() < 18) throw ImageError("the TGA is cut off");
  const std::size_t type = byte_at(file, 2), corner = byte_at(file, 17);
  Header header{.type = type & ~std::size_t{8},
                .W = little_endian(file, 12, 2),
                .H = little_endian(file, 14, 2),
                .bits = byte_at(file, 16),
                .map_at = 18 + byte_at(file, 0),
                .map_first = little_endian(file, 3, 2),
                .map_colors = little_endian(file, 5, 2),
                .map_bits = byte_at(file, 7),
                .pixels_at = 18 + byte_at(file, 0),
                .has_map = byte_at(file, 1) == 1,
                .has_runs = (type & 8) != 0,
                .is_from_right = (corner & 0x10) != 0,
                .is_from_top = (corner & 0x20) != 0};
  if (!is_read(header) || byte_at(file, 1) > 1) {
    throw ImageError("is a TGA of type " + std::to_string(type) + " with " +
                     std::to_string(header.bits) +
                     " bits a pixel, which is not read here; convert it to PNG");
  }
  if (header.has_map) {
    if (header.map_bits < 15 || bytes_of(header.map_bits) > 4) {
      throw ImageError("is a TGA with a color map of " + std::to_string(header.map_bits) +
                       " bits, which is not read here; convert it to PNG");
    }
    header.pixels_at += header.map_colors * bytes_of(header.map_bits);
  }
  check_size(header.W, header.H);
  return header;
}

// ---- colors

// Blue first. In 16 bits the upper one is set where the color is transparent.
Color color_of(std::size_t pixel, std::size_t bits) {
  const auto byte = [](std::size_t value) { return static_cast<std::uint8_t>(value & 0xff); };
  if (bits > 16) {
    return {byte(pixel >> 16), byte(pixel >> 8), byte(pixel), byte(bits == 32 ? pixel >> 24 : 255)};
  }
  const auto of_31 = [&](std::size_t value) { return byte((value & 31) * 255 / 31); };
  return {of_31(pixel >> 10), of_31(pixel >> 5), of_31(pixel),
          byte(bits == 16 && pixel >> 15 ? 0 : 255)};
}

Color grey(std::size_t value, std::size_t alpha = 255) {
  const auto byte = static_cast<std::uint8_t>(value);
  return {byte, byte, byte, static_cast<std::uint8_t>(alpha)};
}

// By index. In front of the first stand zeros, behind the last is black.
std::vector<Color> read_map(Bytes file, const Header& header) {
  std::vector<Color> map;
  const int bytes = static_cast<int>(bytes_of(header.map_bits));
  for (std::size_t i = 0; header.has_map && i < header.map_first + header.map_colors; ++i) {
    const std::size_t at = header.map_at + (i - header.map_first) * bytes_of(header.map_bits);
    const std::size_t stored = i < header.map_first ? 0 : little_endian(file, at, bytes);
    map.push_back(color_of(stored, header.map_bits));
  }
  for (std::size_t i = map.size(); i < 256; ++i) map.push_back(grey(header.has_map ? 0 : i));
  return map;
}

bool has_alpha(const Header& header) {
  const std::size_t bits = header.type == kMap && header.has_map ? header.map_bits : header.bits;
  return bits == 16 || bits == 32;
}

// What stands behind the pixels may say that their alpha means nothing.
bool alpha_is_void(Bytes file, const Header& header) {
  using namespace std::string_view_literals;
  if (header.type != kColors || !characters(file).ends_with("TRUEVISION-XFILE.\0"sv)) return false;
  const std::size_t extension = little_endian(file, file.size() - 26, 4), kind = extension + 494;
  return extension != 0 && kind < file.size() && byte_at(file, kind) == 0;
}

// ---- pixels

// A byte says how many pixels follow, or in its upper half how often the one that follows.
std::vector<std::byte> without_runs(Bytes runs, const Header& header) {
  const std::size_t pixel = bytes_of(header.bits), size = header.H * header.row_bytes();
  std::vector<std::byte> bytes;
  for (std::size_t at = 0; bytes.size() < size && at < runs.size();) {
    const std::size_t run = byte_at(runs, at), length = (run & 0x7f) + 1;
    const std::size_t stored = pixel * (run & 0x80 ? 1 : length), times = run & 0x80 ? length : 1;
    if (runs.size() - ++at < stored) break;
    for (std::size_t i = 0; i < times; ++i) {
      bytes.insert(bytes.end(), runs.begin() + at, runs.begin() + at + stored);
    }
    at += stored;
  }
  return bytes;
}

}  // namespace

Picture decode_tga(Bytes file) {
  const Header header = read_header(file);
  Bytes pixels = file.subspan(std::min(header.pixels_at, file.size()));
  std::vector<std::byte> plain;
  if (header.has_runs) pixels = plain = without_runs(pixels, header);
  if (pixels.size() < header.H * header.row_bytes()) throw ImageError("the TGA is cut off");

  const std::vector<Color> map = read_map(file, header);
  const auto color_at = [&](std::size_t row, std::size_t column) {
    const std::size_t bytes = bytes_of(header.bits),
                      place = header.bits == 1 ? column / 8 : column * bytes;
    const std::size_t pixel =
        little_endian(pixels, row * header.row_bytes() + place, static_cast<int>(bytes));
    if (header.type == kColors) return color_of(pixel, header.bits);
    if (header.type == kMap) return map[pixel];
    if (header.bits == 1) return grey(pixel >> (7 - column % 8) & 1 ? 255 : 0);
    return header.bits == 8 ? grey(pixel) : grey(pixel & 0xff, pixel >> 8);
  };
  const auto W = static_cast<Index>(header.W), H = static_cast<Index>(header.H);
  const Index channels = has_alpha(header) ? 4 : 3;
  const bool is_opaque = alpha_is_void(file, header);
  Picture picture{Buffer<std::uint8_t, 3>({H, W, channels}, unwritten)};
  std::uint8_t* out = picture.pixels.view().data();
  for (std::size_t y = 0; y < header.H; ++y) {
    for (std::size_t x = 0; x < header.W; ++x) {
      Color color = color_at(header.is_from_top ? y : header.H - 1 - y,
                             header.is_from_right ? header.W - 1 - x : x);
      if (is_opaque) color[3] = 255;
      out = std::copy_n(color.data(), channels, out);
    }
  }
  return picture;
}

}  // namespace paligemma::formats
