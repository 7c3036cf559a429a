// Any bytes as a WebP: refused, or its pixels are there, to the last.
#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>

#include "processing/formats/webp.h"
#include "tensor/errors.h"
#include "tests/fuzz/picture.h"

using namespace paligemma;
using formats::little_endian;

// Of the canvas or the picture, by the first chunk.
std::size_t longer_side(formats::Bytes file) {
  const std::string_view kind = formats::characters(file).substr(0, 16);
  const auto longer = [](std::size_t W, std::size_t H) { return std::max(W, H); };
  if (kind.ends_with("VP8X")) return longer(little_endian(file, 24, 3), little_endian(file, 27, 3));
  constexpr std::size_t kSide = (1 << 14) - 1;
  const std::size_t lossless = little_endian(file, 21, 4);
  if (kind.ends_with("VP8L")) return longer(lossless & kSide, lossless >> 14 & kSide);
  return longer(little_endian(file, 26, 2) & kSide, little_endian(file, 28, 2) & kSide);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kMaxSide = 1 << 9;  // for more inputs a second
  const auto file = std::as_bytes(std::span(data, size));
  const std::string_view text = formats::characters(file);
  if (size < 12 || !text.starts_with("RIFF") || text.substr(8, 4) != "WEBP")
    return 0;  // not taken for a WebP
  if (longer_side(file) > kMaxSide) return 0;
  try {
    fuzz::require_pixels(formats::decode_webp(file));
  } catch (const ImageError&) {
  }
  return 0;
}
