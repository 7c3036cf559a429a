// Any bytes as a PNG whose checksums are right: refused, or its pixels are there, to the last. What does
// not begin like one is header, palette, transparency and rows of one, which are then packed.
#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "processing/formats/png.h"
#include "tensor/errors.h"
#include "tests/fuzz/picture.h"

using namespace paligemma;

namespace {

const Bytef* bytes_of(const char* text) { return reinterpret_cast<const Bytef*>(text); }

std::string big_endian(std::size_t number) {
  std::string text;
  for (int shift = 24; shift >= 0; shift -= 8) text += static_cast<char>(number >> shift);
  return text;
}

std::string chunk(const std::string& name, const std::string& data) {
  return big_endian(data.size()) + name + data + "sum.";
}

std::string packed(const std::string& rows) {
  std::string text(compressBound(rows.size()), '\0');
  uLongf size = text.size();
  compress2(reinterpret_cast<Bytef*>(text.data()), &size, bytes_of(rows.data()), rows.size(), 1);
  return text.substr(0, size);
}

// A byte each for width, height, bits, kind of color, whether it is interlaced, and the lengths of palette
// and transparency; then these, and rows.
std::string png_of(std::string parts) {
  parts.resize(std::max<std::size_t>(parts.size(), 7));
  const auto length = [&](int i) {
    return static_cast<std::size_t>(static_cast<unsigned char>(parts[i]));
  };
  const std::string side(3, '\0'), methods(2, '\0');
  const std::string header =
      side + parts[0] + side + parts[1] + parts.substr(2, 2) + methods + parts[4];
  const std::size_t palette = std::min(3 * length(5), parts.size() - 7);
  const std::size_t transparency = std::min(length(6), parts.size() - 7 - palette);
  return "\x89PNG\r\n\x1a\n" + chunk("IHDR", header) + chunk("PLTE", parts.substr(7, palette)) +
         chunk("tRNS", parts.substr(7 + palette, transparency)) +
         chunk("IDAT", packed(parts.substr(7 + palette + transparency)));
}

void mend_checksums(std::string& png) {
  for (std::size_t at = 8, size = 0; at + 12 <= png.size(); at += 12 + size) {
    size = formats::big_endian(std::as_bytes(std::span(png)), at, 4);
    if (size > png.size() - at - 12) break;
    const auto checksum = crc32(0, bytes_of(png.data() + at + 4), static_cast<uInt>(4 + size));
    png.replace(at + 8 + size, 4, big_endian(checksum));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string input(reinterpret_cast<const char*>(data), size);
  std::string png = input.starts_with("\x89PNG") ? input : png_of(input);
  mend_checksums(png);
  try {
    fuzz::require_pixels(formats::decode_png(std::as_bytes(std::span(png))));
  } catch (const ImageError&) {
  }
  return 0;
}
