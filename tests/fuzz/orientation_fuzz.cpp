// Any bytes as EXIF, as XMP, and as the files that hold them: an orientation from 1 to 8.
#include <cstdint>
#include <span>
#include <string_view>

#include "processing/formats/jpeg_segments.h"
#include "processing/formats/orientation.h"
#include "processing/formats/png_notes.h"
#include "processing/formats/webp_notes.h"
#include "tests/fuzz/require.h"

using namespace paligemma;
using fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto is_sound = [](int orientation) { return orientation >= 1 && orientation <= 8; };
  const auto file = std::as_bytes(std::span(data, size));
  const std::string_view text = formats::characters(file);
  require(is_sound(formats::orientation_of(text, "")));
  require(is_sound(formats::orientation_of("", text)));
  require(is_sound(formats::jpeg_orientation(file)));
  require(is_sound(formats::png_orientation(file)));
  require(is_sound(formats::webp_orientation(file)));
  return 0;
}
