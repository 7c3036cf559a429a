// Any bytes as a WebP: refused, or its pixels are there, to the last.
#include <algorithm>
#include <cstdint>
#include <span>

#include "processing/formats/webp.h"
#include "tensor/errors.h"
#include "tests/fuzz/require.h"

using namespace paligemma;
using fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kMaxSide = 1 << 10;  // for more inputs a second
  const auto file = std::as_bytes(std::span(data, size));
  if (formats::characters(file).substr(0, 16).ends_with("VP8X") &&  // the canvas
      std::max(formats::little_endian(file, 24, 3), formats::little_endian(file, 27, 3)) >
          kMaxSide) {
    return 0;
  }
  try {
    const formats::Picture picture = formats::decode_webp(file);
    const auto pixels = picture.pixels.view();
    require(pixels.size(0) > 0 && pixels.size(1) > 0);
    require(pixels.size(2) == 3 || pixels.size(2) == 4);
    const unsigned last = pixels.data()[pixels.count() - 1];
    asm volatile("" : : "r"(last));  // so that it is read
  } catch (const ImageError&) {
  }
  return 0;
}
