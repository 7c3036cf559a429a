#include "processing/formats/png.h"

#define ZLIB_CONST
#include <zlib.h>

#include <algorithm>
#include <array>
#include <memory>
#include <new>
#include <string>

#include "processing/formats/stb.h"
#include "tensor/errors.h"

namespace paligemma::formats {
namespace {

using namespace std::string_view_literals;

constexpr auto kSignature = "\x89PNG\r\n\x1a\n"sv;

[[noreturn]] void refuse(const std::string& reason) {
  throw ImageError("looks like PNG, but " + reason);
}

// ---- chunks: a size, a name of four letters, so many bytes, a checksum

// Those that the pixels need.
struct Chunks {
  std::string header, palette, transparency, frame, pixels;
};

const Bytef* zlib_bytes(std::string_view text) {
  return reinterpret_cast<const Bytef*>(text.data());
}

// A wrong checksum in front of the pixels is damage, in whatever chunk it is; theirs, and what stands
// behind them, is not looked at. Of two chunks of a kind the last counts.
Chunks read_chunks(Bytes file) {
  const std::string_view text = characters(file);
  Chunks chunks;
  bool has_pixels = false;
  for (std::size_t at = kSignature.size(), size = 0; at + 8 <= file.size(); at += 12 + size) {
    size = big_endian(file, at, 4);
    const std::string_view name = text.substr(at + 4, 4), data = text.substr(at + 8, size);
    if (name == "IDAT") {  // in pieces that follow each other
      chunks.pixels += data;
      has_pixels = true;
      continue;
    }
    if (has_pixels) break;
    if (name == "IEND") refuse("it has no pixels");
    if (data.size() < size || file.size() < at + 12 + size) break;
    const auto checksum = crc32(0, zlib_bytes(name), static_cast<uInt>(4 + size));
    if (checksum != big_endian(file, at + 8 + size, 4)) {
      refuse("what stands before its pixels is damaged");
    }
    if (name == "IHDR") chunks.header = data;
    if (name == "PLTE") chunks.palette = data;
    if (name == "tRNS") chunks.transparency = data;
    if (name == "fcTL") chunks.frame = data;
  }
  if (!has_pixels) throw ImageError("the PNG is cut off");
  return chunks;
}

// ---- rows

struct Header {
  std::size_t W, H, bits, color;
  bool is_interlaced;
};

constexpr std::size_t kPalette = 3, kAlpha = 4;  // a kind of color, and a bit of others

Header read_header(const std::string& chunk) {
  constexpr std::array<std::size_t, 5> kBits{1, 2, 4, 8, 16};
  const Bytes bytes = std::as_bytes(std::span(chunk));
  if (chunk.size() < 13) refuse("it has no header");
  const Header header{big_endian(bytes, 0, 4), big_endian(bytes, 4, 4), byte_at(bytes, 8),
                      byte_at(bytes, 9), byte_at(bytes, 12) != 0};
  if (std::find(kBits.begin(), kBits.end(), header.bits) == kBits.end() || header.color > 6) {
    refuse("its header is damaged");
  }
  check_size(header.W, header.H);
  return header;
}

// Of the bytes that the rows have when they are unpacked: one for the filter, then the samples. An
// interlaced picture is seven smaller ones.
std::size_t rows_size(const Header& header) {
  struct Pass {
    std::size_t x, y, x_step, y_step;
  };
  constexpr std::array<Pass, 1> kWhole{{{0, 0, 1, 1}}};
  constexpr std::array<Pass, 7> kInterlaced{{{0, 0, 8, 8},
                                             {4, 0, 8, 8},
                                             {0, 4, 4, 8},
                                             {2, 0, 4, 4},
                                             {0, 2, 2, 4},
                                             {1, 0, 2, 2},
                                             {0, 1, 1, 2}}};
  constexpr std::array<std::size_t, 7> kSamples{1, 1, 3, 1, 2, 1, 4};
  std::size_t size = 0;
  const auto passes =
      header.is_interlaced ? std::span<const Pass>(kInterlaced) : std::span<const Pass>(kWhole);
  for (const Pass& pass : passes) {
    const std::size_t W = (header.W + pass.x_step - 1 - pass.x) / pass.x_step;
    const std::size_t H = (header.H + pass.y_step - 1 - pass.y) / pass.y_step;
    if (W > 0) size += H * (1 + (W * header.bits * kSamples[header.color] + 7) / 8);
  }
  return size;
}

std::string big_endian_text(std::size_t number) {
  std::string text;
  for (int shift = 24; shift >= 0; shift -= 8) text += static_cast<char>(number >> shift);
  return text;
}

// Unpacks `size` bytes of rows and packs them again as they are, in blocks of up to 65535, as an IDAT
// without checksums: zlib has looked at them, and seen whether rows are missing.
void append_rows(std::string_view packed, std::size_t size, std::string& png) {
  constexpr std::size_t kMaxBlock = 65535, kMaxRatio = 1032;  // of deflate
  if (size / kMaxRatio > packed.size()) throw ImageError("the PNG is cut off");
  z_stream stream{};
  stream.next_in = zlib_bytes(packed);
  stream.avail_in = static_cast<uInt>(packed.size());
  if (inflateInit(&stream) != Z_OK) throw std::bad_alloc();
  const std::unique_ptr<z_stream, int (*)(z_stream*)> end(&stream, inflateEnd);

  const std::size_t blocks = (size + kMaxBlock - 1) / kMaxBlock, length = size + 5 * blocks + 6;
  png.reserve(png.size() + length + 24);  // with an IEND
  png += big_endian_text(length) + "IDAT\x78\x01";
  while (size > 0) {
    const std::size_t block = std::min(size, kMaxBlock);
    size -= block;
    const auto append = [&](std::size_t byte) { png += static_cast<char>(byte); };
    append(size == 0);  // whether it is the last
    append(block), append(block >> 8), append(~block), append(~block >> 8);
    png.resize(png.size() + block);
    stream.next_out = reinterpret_cast<Bytef*>(png.data() + png.size() - block);
    stream.avail_out = static_cast<uInt>(block);
    const int result = inflate(&stream, Z_NO_FLUSH);
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) {
      refuse("its pixels are damaged");
    }
    if (stream.avail_out > 0) throw ImageError("the PNG is cut off");
  }
  png.append(8, '\0');
}

}  // namespace

// stb_image gets a file of those chunks alone, which are whole. Colors past a palette are black.
Picture decode_png(Bytes file) {
  Chunks chunks = read_chunks(file);
  const Header header = read_header(chunks.header);
  const std::string whole = chunks.header.substr(0, 8) + std::string(8, '\0');  // W, H, left, top
  if (chunks.frame.size() >= 20 && chunks.frame.substr(4, 16) != whole) {
    refuse("its first frame is not the whole picture");
  }
  std::string png(kSignature);
  const auto append = [&](std::string_view name, std::string_view data) {
    png.append(big_endian_text(data.size())).append(name).append(data).append(4, '\0');
  };
  chunks.header.resize(13);
  chunks.header[12] = header.is_interlaced;
  append("IHDR", chunks.header);
  if (header.color == kPalette) {
    chunks.palette.resize(3 * 256);
    append("PLTE", chunks.palette);
  }
  const bool is_transparent = !chunks.transparency.empty() && !(header.color & kAlpha);
  if (is_transparent) {
    const std::size_t most = header.color == kPalette ? 256 : header.color == 0 ? 2 : 6;
    append("tRNS", std::string_view(chunks.transparency).substr(0, most));
  }
  append_rows(chunks.pixels, rows_size(header), png);
  append("IEND", "");
  return stb_decode(std::as_bytes(std::span(png)), "PNG",
                    is_transparent || header.color & kAlpha ? 4 : 3);
}

}  // namespace paligemma::formats
