#include "processing/formats/bmp.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdio>
#include <string>
#include <vector>

#include "tensor/errors.h"

namespace paligemma::formats {
namespace {

constexpr std::size_t kPlain = 0, kRuns8 = 1, kRuns4 = 2, kBitFields = 3;  // compressions

struct Header {
  std::size_t bytes, W, H, bits, compression = kPlain;
  std::size_t colors = 0, bytes_per_color = 4, palette_at, pixels_at;
  bool is_top_down = false;
};

[[noreturn]] void refuse(const std::string& what) {
  throw ImageError("is a BMP with " + what + ", which is not read here; convert it to PNG");
}

[[noreturn]] void refuse_as_cut_off() { throw ImageError("the BMP is cut off"); }

template <class T, std::size_t N>
bool holds(const std::array<T, N>& values, const T& value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

// ---- the header

Header read_header(Bytes file) {
  constexpr std::array<std::size_t, 7> kSizes{12, 40, 52, 56, 64, 108, 124};
  constexpr std::array<std::size_t, 6> kBits{1, 4, 8, 16, 24, 32};
  if (file.size() < 18) refuse_as_cut_off();
  Header header;
  header.bytes = little_endian(file, 14, 4);
  if (!holds(kSizes, header.bytes)) {
    refuse("a header of " + std::to_string(header.bytes) + " bytes");
  }
  if (file.size() < 14 + header.bytes) refuse_as_cut_off();

  if (header.bytes == 12) {
    header.W = little_endian(file, 18, 2);
    header.H = little_endian(file, 20, 2);
    header.bits = little_endian(file, 24, 2);
    header.bytes_per_color = 3;
  } else {
    header.W = little_endian(file, 18, 4);
    header.H = little_endian(file, 22, 4);
    header.bits = little_endian(file, 28, 2);
    header.compression = little_endian(file, 30, 4);
    header.colors = little_endian(file, 46, 4);
    header.is_top_down = byte_at(file, 25) == 0xff;  // a negative height
    if (header.is_top_down) header.H = (std::size_t{1} << 32) - header.H;
  }
  check_size(header.W, header.H);
  if (!holds(kBits, header.bits)) refuse(std::to_string(header.bits) + " bits a pixel");
  if (header.compression > kBitFields) {
    constexpr std::array<const char*, 2> kNames{" (JPEG)", " (PNG)"};
    const std::size_t i = header.compression - kBitFields - 1;
    refuse("compression " + std::to_string(header.compression) + (i < 2 ? kNames[i] : ""));
  }
  return header;
}

// Where palette and pixels are. A palette ends where the pixels begin, however many colors are claimed.
void find_pixels(Bytes file, Header& header) {
  header.palette_at = header.pixels_at = 14 + header.bytes;
  if (header.bits <= 8) {
    if (header.colors == 0) header.colors = std::size_t{1} << header.bits;
    if (header.colors > 65536) refuse("a palette of " + std::to_string(header.colors) + " colors");
    header.pixels_at += header.colors * header.bytes_per_color;
  } else if (header.bytes == 40 && header.compression == kBitFields) {
    header.pixels_at += 12;
  }
  const std::size_t stated = little_endian(file, 10, 4);
  if (stated == 0 || (stated == header.palette_at && header.bits <= 8)) return;
  header.pixels_at = stated;
  if (stated > header.palette_at) {
    header.colors = std::min(header.colors, (stated - header.palette_at) / header.bytes_per_color);
  }
}

// ---- pixels that are an index into a palette

using Palette = std::array<std::array<std::uint8_t, 3>, 256>;

// Blue, green, red; what the file does not have is black.
Palette read_palette(Bytes file, const Header& header) {
  Palette palette{};
  for (std::size_t i = 0; i < std::min(header.colors, palette.size()); ++i) {
    const std::size_t at = header.palette_at + i * header.bytes_per_color;
    for (std::size_t c = 0; c < 3; ++c) {
      palette[i][c] = static_cast<std::uint8_t>(byte_at(file, at + 2 - c));
    }
  }
  return palette;
}

// Rows are whole numbers of 32 bits; the last may lack what it does not need.
std::size_t row_bytes(const Header& header) { return (header.W * header.bits + 31) / 32 * 4; }

void check_length(Bytes file, const Header& header) {
  const std::size_t last_row = header.pixels_at + (header.H - 1) * row_bytes(header);
  if (file.size() < last_row + (header.W * header.bits + 7) / 8) refuse_as_cut_off();
}

using Indices = std::vector<std::uint8_t>;  // [H * W], in the file's order of rows

Indices read_indices(Bytes file, const Header& header) {
  check_length(file, header);
  Indices indices;
  indices.reserve(header.W * header.H);
  for (std::size_t row = 0; row < header.H; ++row) {
    const std::size_t at = header.pixels_at + row * row_bytes(header);
    for (std::size_t x = 0; x < header.W; ++x) {
      const std::size_t bit = x * header.bits, byte = byte_at(file, at + bit / 8);
      const std::size_t index = byte >> (8 - header.bits - bit % 8);
      indices.push_back(static_cast<std::uint8_t>(index & ((1u << header.bits) - 1)));
    }
  }
  return indices;
}

// Pairs of bytes: how often, and which index (or two, by turns). Behind a 0 stands what is not a run.
// What is skipped has index 0.
Indices read_runs(Bytes file, const Header& header) {
  const std::size_t W = header.W, pixels = header.W * header.H;
  const bool are_two = header.compression == kRuns4;
  Indices indices;
  std::size_t x = 0;  // not taken back where pixels that are no run pass the end of a row
  for (std::size_t at = header.pixels_at; indices.size() < pixels && at + 1 < file.size();) {
    const std::size_t length = byte_at(file, at), value = byte_at(file, at + 1);
    const auto append = [&](std::size_t pair, std::size_t i) {
      const std::size_t index = !are_two ? pair : i % 2 == 0 ? pair >> 4 : pair & 15;
      indices.push_back(static_cast<std::uint8_t>(index));
    };
    at += 2;
    if (length > 0) {  // a run, which ends with its row
      const std::size_t end = std::min(length, W - std::min(x, W));
      for (std::size_t i = 0; i < end; ++i) append(value, i);
      x += end;
    } else if (value == 0) {  // the end of a row
      indices.resize((indices.size() + W - 1) / W * W);
      x = 0;
    } else if (value == 1) {  // the end of the picture
      break;
    } else if (value == 2) {  // steps to the right, and rows
      if (file.size() - at < 2) break;
      const std::size_t steps = byte_at(file, at) + byte_at(file, at + 1) * W;
      indices.resize(std::min(pixels, indices.size() + steps));
      x = indices.size() % W;
      at += 2;
    } else {  // so many pixels, up to a whole number of 16 bits
      const std::size_t end = std::min(value, pixels - indices.size());
      const std::size_t bytes = are_two ? (end + 1) / 2 : end;
      if (file.size() - at < bytes) break;
      for (std::size_t i = 0; i < end; ++i) append(byte_at(file, at + (are_two ? i / 2 : i)), i);
      x += value;
      at += bytes;
      at += at % 2;
    }
  }
  if (indices.size() < pixels) throw ImageError("the BMP's runs end before its last pixel");
  return indices;
}

Picture with_palette(Bytes file, const Header& header) {
  const Palette palette = read_palette(file, header);
  const Indices indices =
      header.compression == kPlain ? read_indices(file, header) : read_runs(file, header);
  const auto W = static_cast<Index>(header.W), H = static_cast<Index>(header.H);
  Picture picture{Buffer<std::uint8_t, 3>({H, W, 3}, unwritten)};
  for (Index row = 0; row < H; ++row) {
    std::uint8_t* out = &picture.pixels.view()(header.is_top_down ? row : H - 1 - row, 0, 0);
    for (Index x = 0; x < W; ++x) {
      out = std::copy_n(palette[indices[row * W + x]].data(), 3, out);
    }
  }
  return picture;
}

// ---- pixels that are colors

using Masks = std::array<std::size_t, 4>;  // of red, green, blue and alpha

// What Pillow reads. It takes four masks of 0 for the usual order.
constexpr Masks kRgb555{0x7c00, 0x3e0, 0x1f, 0}, kRgb888{0xff0000, 0xff00, 0xff, 0};
constexpr std::array<Masks, 7> kMasks32{{kRgb888,
                                         {0xff000000, 0xff0000, 0xff00, 0},
                                         {0xff000000, 0xff00, 0xff, 0},
                                         {0xff000000, 0xff0000, 0xff00, 0xff},
                                         {0xff, 0xff00, 0xff0000, 0xff000000},
                                         {0xff0000, 0xff00, 0xff, 0xff000000},
                                         {0xff000000, 0xff00, 0xff, 0xff0000}}};
constexpr std::array<Masks, 1> kMasks24{kRgb888};
constexpr std::array<Masks, 2> kMasks16{{{0xf800, 0x7e0, 0x1f, 0}, kRgb555}};

Masks read_masks(Bytes file, const Header& header) {
  if (header.compression == kPlain) return header.bits == 16 ? kRgb555 : kRgb888;
  Masks masks{};
  for (std::size_t c = 0; c < 3; ++c) masks[c] = little_endian(file, 54 + 4 * c, 4);
  if (header.bits == 32 && header.bytes >= 56) masks[3] = little_endian(file, 66, 4);
  if (header.bits == 32 && masks == Masks{}) return {0xff0000, 0xff00, 0xff, 0xff000000};
  const bool is_known = header.bits == 32   ? holds(kMasks32, masks)
                        : header.bits == 24 ? holds(kMasks24, masks)
                                            : holds(kMasks16, masks);
  if (!is_known) {
    std::array<char, 64> text;
    std::snprintf(text.data(), text.size(), "bit fields %zx, %zx, %zx and %zx", masks[0], masks[1],
                  masks[2], masks[3]);
    refuse(text.data());
  }
  return masks;
}

Picture with_masks(Bytes file, const Header& header) {
  check_length(file, header);
  const Masks masks = read_masks(file, header);
  const auto W = static_cast<Index>(header.W), H = static_cast<Index>(header.H);
  const Index channels = masks[3] == 0 ? 3 : 4;
  const std::size_t bytes = header.bits / 8;
  Picture picture{Buffer<std::uint8_t, 3>({H, W, channels}, unwritten)};
  for (Index row = 0; row < H; ++row) {
    const Index y = header.is_top_down ? row : H - 1 - row;
    std::size_t at = header.pixels_at + static_cast<std::size_t>(row) * row_bytes(header);
    for (Index x = 0; x < W; ++x, at += bytes) {
      const std::size_t pixel = little_endian(file, at, static_cast<int>(bytes));
      for (Index c = 0; c < channels; ++c) {
        const int shift = std::countr_zero(masks[c]);
        const std::size_t value = (pixel & masks[c]) >> shift, largest = masks[c] >> shift;
        picture.pixels.view()(y, x, c) = static_cast<std::uint8_t>(value * 255 / largest);
      }
    }
  }
  return picture;
}

}  // namespace

Picture decode_bmp(Bytes file) {
  Header header = read_header(file);
  find_pixels(file, header);
  const bool has_palette = header.bits <= 8;
  if (has_palette && header.compression == kBitFields) refuse("bit fields and a palette");
  if (!has_palette && (header.compression == kRuns8 || header.compression == kRuns4)) {
    refuse("runs of colors");
  }
  return has_palette ? with_palette(file, header) : with_masks(file, header);
}

}  // namespace paligemma::formats
