#include "processing/formats/jpeg.h"

#include <algorithm>

#include "processing/formats/stb.h"
#include "tensor/errors.h"

namespace paligemma::formats {
namespace {

using namespace std::string_view_literals;

// A JPEG is a row of segments: 0xff, a letter, a length, and after the letter 0xda coded pixels. A
// Huffman table (0xc4) has up to 256 codes; stb_image would write more of them past its own memory.
bool huffman_tables_fit(Bytes file) {
  std::size_t at = 2;
  while ((at = characters(file).find('\xff', at)) != std::string_view::npos) {
    while (byte_at(file, at) == 0xff) ++at;
    const std::size_t letter = byte_at(file, at++);
    if (letter == 0xd9) return true;                                  // the end
    if (letter == 0 || (letter >= 0xd0 && letter <= 0xd8)) continue;  // these have no length

    const std::size_t end = at + std::max<std::size_t>(big_endian(file, at, 2), 2);
    at += 2;
    while (letter == 0xc4 && at < end) {
      std::size_t codes = 0;
      for (int bits = 1; bits <= 16; ++bits) codes += byte_at(file, at + bits);
      if (codes > 256) return false;
      at += 17 + codes;
    }
    at = end;
  }
  return true;
}

}  // namespace

Picture decode_jpeg(Bytes file) {
  if (!huffman_tables_fit(file)) {
    throw ImageError("looks like JPEG, but its header is damaged or asks for too many pixels");
  }
  stb_header(file, "JPEG");
  const std::string_view text = characters(file);
  const auto scan = text.rfind("\xff\xda"sv), end = text.rfind("\xff\xd9"sv);
  if (end == text.npos || (scan != text.npos && end < scan)) {
    throw ImageError("the JPEG is cut off");
  }
  return stb_decode(file, "JPEG");
}

}  // namespace paligemma::formats
