#include "processing/formats/gif.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "tensor/errors.h"

namespace paligemma::formats {
namespace {

using Indices = std::vector<std::uint8_t>;
using Palette = std::array<std::array<std::uint8_t, 3>, 256>;

struct Frame {
  std::size_t x, y, W, H, codes_at;
  bool is_interlaced;
  Palette palette;
  std::optional<std::size_t> transparent;  // an index
};

// ---- blocks

// Three bytes a color, as many colors as the flags say; without any, grey. Moves `at` behind them.
Palette read_palette(Bytes file, std::size_t flags, const Palette& without, std::size_t& at) {
  if (!(flags & 0x80)) return without;
  Palette palette{};
  const std::size_t colors = std::size_t{2} << (flags & 7);
  for (std::size_t i = 0; i < colors; ++i) {
    for (std::uint8_t& c : palette[i]) c = static_cast<std::uint8_t>(byte_at(file, at++));
  }
  return palette;
}

Palette greys() {
  Palette palette;
  for (std::size_t i = 0; i < palette.size(); ++i) palette[i].fill(static_cast<std::uint8_t>(i));
  return palette;
}

// The first picture. Blocks begin with ! or a comma; what else stands between them is passed over.
Frame find_frame(Bytes file) {
  std::size_t at = 13;
  const Palette common = read_palette(file, byte_at(file, 10), greys(), at);
  std::optional<std::size_t> transparent;
  for (; at < file.size() && byte_at(file, at) != ';'; ++at) {
    if (byte_at(file, at) == '!') {
      const bool is_control = byte_at(file, at + 1) == 0xf9 && byte_at(file, at + 2) >= 4;
      if (is_control && byte_at(file, at + 3) & 1) transparent = byte_at(file, at + 6);
      at += 2;
      while (byte_at(file, at) != 0) at += 1 + byte_at(file, at);
    } else if (byte_at(file, at) == ',') {
      const std::size_t flags = byte_at(file, at + 9);
      Frame frame{.x = little_endian(file, at + 1, 2),
                  .y = little_endian(file, at + 3, 2),
                  .W = little_endian(file, at + 5, 2),
                  .H = little_endian(file, at + 7, 2),
                  .codes_at = at + 10,
                  .is_interlaced = (flags & 0x40) != 0,
                  .palette = {},
                  .transparent = transparent};
      frame.palette = read_palette(file, flags, common, frame.codes_at);
      if (frame.codes_at >= file.size()) break;
      return frame;
    }
  }
  throw ImageError(byte_at(file, at) == ';' ? "the GIF has no picture" : "the GIF is cut off");
}

// Pieces of up to 255 bytes, each behind its length, the last of length 0. A piece that is not whole
// does not count.
std::vector<std::uint8_t> joined(Bytes file, std::size_t at) {
  std::vector<std::uint8_t> bytes;
  for (std::size_t length; (length = byte_at(file, at)) != 0 && at + length < file.size();
       at += 1 + length) {
    for (std::size_t i = 1; i <= length; ++i) {
      bytes.push_back(static_cast<std::uint8_t>(byte_at(file, at + i)));
    }
  }
  return bytes;
}

// ---- codes

constexpr std::size_t kMaxCodes = 4096, kMaxBits = 12;

// LZW (Welch 1984). A code is an index or a string of indices. Each code behind the first defines one
// more: the string before it and its own first index, which stand side by side in what has been written.
// When there are 4096, none is defined until a code clears them.
Indices unpacked(const std::vector<std::uint8_t>& bytes, std::size_t index_bits,
                 std::size_t count) {
  struct String {
    std::size_t begin, length;
  };
  if (index_bits >= kMaxBits) {
    throw ImageError("the GIF has indices of " + std::to_string(index_bits) + " bits");
  }
  const std::size_t clear = std::size_t{1} << index_bits, end = clear + 1;
  std::array<String, kMaxCodes> strings;
  std::size_t codes = clear + 2, bits = index_bits + 1;
  std::optional<std::size_t> previous;  // where the string before begins
  Indices out;
  for (std::size_t at = 0; out.size() < count && at + bits <= 8 * bytes.size();) {
    std::size_t code = 0;
    for (std::size_t bit = 0; bit < bits; ++bit, ++at) {
      code |= static_cast<std::size_t>(bytes[at / 8] >> (at % 8) & 1) << bit;
    }
    if (code == end) break;
    if (code == clear) {
      codes = clear + 2;
      bits = index_bits + 1;
      previous.reset();
      continue;
    }
    const std::size_t begin = out.size();
    if (previous && codes < kMaxCodes) {
      strings[codes++] = {*previous, begin - *previous + 1};
      if (codes == std::size_t{1} << bits && bits < kMaxBits) ++bits;
    }
    if (code < clear) {
      out.push_back(static_cast<std::uint8_t>(code));
    } else if (previous && code < codes) {
      const auto [from, length] = strings[code];
      for (std::size_t i = 0; i < length && out.size() < count; ++i) out.push_back(out[from + i]);
    } else {
      throw ImageError("the GIF has a code that nothing defines");
    }
    previous = begin;
  }
  if (out.size() < count) throw ImageError("the GIF is cut off");
  return out;
}

// Rows 0, 8, 16 ..., then 4, 12 ..., then 2, 6 ..., then 1, 3 ...
std::vector<std::size_t> order_of_rows(const Frame& frame) {
  std::vector<std::size_t> rows;
  const auto add = [&](std::size_t first, std::size_t step) {
    for (std::size_t y = first; y < frame.H; y += step) rows.push_back(y);
  };
  if (!frame.is_interlaced) {
    add(0, 1);
  } else {
    add(0, 8), add(4, 8), add(2, 4), add(1, 2);
  }
  return rows;
}

}  // namespace

// Outside of its first picture a GIF is transparent, or of color 0.
Picture decode_gif(Bytes file) {
  const Frame frame = find_frame(file);
  const std::size_t screen_W = std::max(little_endian(file, 6, 2), frame.x + frame.W);
  const std::size_t screen_H = std::max(little_endian(file, 8, 2), frame.y + frame.H);
  check_size(frame.W, frame.H);
  check_size(screen_W, screen_H);
  const Indices indices =
      unpacked(joined(file, frame.codes_at + 1), byte_at(file, frame.codes_at), frame.W * frame.H);

  const auto W = static_cast<Index>(screen_W), H = static_cast<Index>(screen_H);
  const Index channels = frame.transparent ? 4 : 3;
  Picture picture{Buffer<std::uint8_t, 3>({H, W, channels}, unwritten)};
  const auto pixels = picture.pixels.view();
  const auto paint = [&](Index y, Index x, std::size_t index) {
    for (Index c = 0; c < 3; ++c) pixels(y, x, c) = frame.palette[index][c];
    if (channels == 4) pixels(y, x, 3) = index == *frame.transparent ? 0 : 255;
  };
  for (Index y = 0; y < H; ++y) {
    for (Index x = 0; x < W; ++x) paint(y, x, frame.transparent.value_or(0));
  }
  std::size_t i = 0;
  for (std::size_t row : order_of_rows(frame)) {
    for (std::size_t x = 0; x < frame.W; ++x) {
      paint(static_cast<Index>(frame.y + row), static_cast<Index>(frame.x + x), indices[i++]);
    }
  }
  return picture;
}

}  // namespace paligemma::formats
