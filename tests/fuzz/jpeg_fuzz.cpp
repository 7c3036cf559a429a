// Any bytes as a JPEG: refused, or its pixels are there, and are the same with bytes behind it.
#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "processing/formats/jpeg.h"
#include "processing/formats/jpeg_segments.h"
#include "tensor/errors.h"
#include "tests/fuzz/require.h"

using namespace paligemma;
using fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kMaxPixels = 1 << 20;  // for more inputs a second
  const auto file = std::as_bytes(std::span(data, size));
  if (!formats::characters(file).starts_with("\xff\xd8\xff")) return 0;  // not taken for a JPEG
  try {
    const formats::JpegFrame frame = formats::jpeg_frame(file);
    if (frame.H != 0 && frame.W > kMaxPixels / frame.H) return 0;
    const formats::Picture picture = formats::decode_jpeg(file);
    const auto pixels = picture.pixels.view();
    require(pixels.size(0) == static_cast<Index>(frame.H));
    require(pixels.size(1) == static_cast<Index>(frame.W) && pixels.size(2) == 3);

    std::vector<std::byte> longer(file.begin(), file.end());
    longer.insert(longer.end(), 9, std::byte{0xff});
    const formats::Picture again = formats::decode_jpeg(longer);
    require(std::equal(pixels.data(), pixels.data() + pixels.count(), again.pixels.view().data()));
  } catch (const ImageError&) {
  }
  return 0;
}
