// Any bytes as a picture of one format: refused, or its pixels are there, to the last. The format is
// CMake's to say (tests/fuzz/CMakeLists.txt).
#include PG_HEADER

#include <cstdint>
#include <numeric>
#include <span>

#include "tensor/errors.h"
#include "tests/fuzz/require.h"

using namespace paligemma;
using fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const formats::Picture picture = formats::PG_DECODE(std::as_bytes(std::span(data, size)));
    const auto pixels = picture.pixels.view();
    require(pixels.size(0) > 0 && pixels.size(1) > 0);
    require(pixels.size(2) == 3 || pixels.size(2) == 4);
    const unsigned sum = std::accumulate(pixels.data(), pixels.data() + pixels.count(), 0u);
    asm volatile("" : : "r"(sum));  // so that they are read
  } catch (const ImageError&) {
  }
  return 0;
}
