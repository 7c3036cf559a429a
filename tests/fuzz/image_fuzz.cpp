// Any bytes as a picture: refused, or its pixels are there, to the last.
#include <cstdint>
#include <span>

#include "processing/image_file.h"
#include "tensor/errors.h"
#include "tests/fuzz/require.h"

using namespace paligemma;
using fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    // By this name, what begins like no other format is taken for a TGA.
    const RgbImage image = decode_image(std::as_bytes(std::span(data, size)), "fuzz.tga");
    const auto pixels = image.view();
    require(pixels.size(0) > 0 && pixels.size(1) > 0 && pixels.size(2) == 3);
    unsigned sum = 0;
    for (Index i = 0; i < pixels.count(); i += 1021) sum += pixels.data()[i];
    sum += pixels.data()[pixels.count() - 1];
    asm volatile("" : : "r"(sum));  // so that they are read
  } catch (const ImageError&) {
  }
  return 0;
}
