#include <optional>

#include "processing/formats/jpeg_decoder.h"
#include "processing/formats/jpeg_segments.h"
#include "processing/formats/stb.h"
#include "tensor/errors.h"

namespace paligemma::formats {
namespace {

using namespace std::string_view_literals;

// stb_image takes ids R, G, B for colours whatever the markers say, and of four components knows those
// alone that Adobe's marker says are CMYK (0) or YCCK (2).
bool knows_colours(Bytes file, const JpegFrame& frame) {
  bool has_jfif = false, has_rgb_ids = false;
  std::optional<std::size_t> adobe;
  JpegSegments segments(file);
  for (auto s = segments.next(); s && s->marker != 0xda; s = segments.next()) {
    const std::string_view content = characters(s->content);
    has_jfif |= s->marker == 0xe0 && content.starts_with("JFIF\0"sv);
    if (s->marker == 0xee && content.starts_with("Adobe"sv)) adobe = byte_at(s->content, 11);
    if (s->marker != frame.marker || content.size() < 15) continue;
    has_rgb_ids = content[6] == 'R' && content[9] == 'G' && content[12] == 'B';
  }
  if (frame.components == 4) return adobe == 0 || adobe == 2;
  return !has_rgb_ids || !(has_jfif || adobe.value_or(0) != 0);
}

}  // namespace

Picture jpeg_pixels(Bytes file) {
  constexpr std::size_t kHuffmanTables = 0xc4;
  JpegSegments segments(file);
  while (const auto segment = segments.next()) {
    if (segment->marker == kHuffmanTables && !huffman_tables_fit(segment->content)) {
      throw ImageError("looks like JPEG, but a Huffman table of it is damaged");
    }
  }
  const JpegFrame frame = jpeg_frame(file);
  if (frame.is_arithmetic()) {
    throw ImageError(
        "is a JPEG with arithmetic coding, which this build does not read; convert it: "
        "djpeg IN > OUT.ppm");
  }
  if (!knows_colours(file, frame)) {
    throw ImageError(
        "is a JPEG whose colours this build does not know; convert it: djpeg IN > OUT.ppm");
  }
  return stb_decode(file, "JPEG");
}

std::string jpeg_decoder() { return "stb_image"; }

}  // namespace paligemma::formats
