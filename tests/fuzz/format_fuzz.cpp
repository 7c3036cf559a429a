// Any bytes as a picture of one format: refused, or its pixels are there, to the last. The format is
// CMake's to say (tests/fuzz/CMakeLists.txt).
#include PG_HEADER

#include <cstdint>
#include <span>

#include "tensor/errors.h"
#include "tests/fuzz/picture.h"

using namespace paligemma;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    fuzz::require_pixels(formats::PG_DECODE(std::as_bytes(std::span(data, size))));
  } catch (const ImageError&) {
  }
  return 0;
}
