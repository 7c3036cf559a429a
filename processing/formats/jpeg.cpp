#include "processing/formats/jpeg.h"

#include "processing/formats/jpeg_segments.h"
#include "processing/formats/stb.h"
#include "tensor/errors.h"

namespace paligemma::formats {
namespace {

constexpr std::size_t kHuffmanTables = 0xc4;

// Each table is a byte for its place, 16 counts of codes by length, and so many values; together 256 at
// most. stb_image would write more of them past its own memory.
bool huffman_tables_fit(Bytes file) {
  JpegSegments segments(file);
  for (auto s = segments.next(); s && s->marker != 0xd9; s = segments.next()) {
    if (s->marker != kHuffmanTables) continue;
    for (std::size_t at = 0; at < s->content.size();) {
      std::size_t codes = 0;
      for (int bits = 1; bits <= 16; ++bits) codes += byte_at(s->content, at + bits);
      if (codes > 256) return false;
      at += 17 + codes;
    }
  }
  return true;
}

}  // namespace

Picture decode_jpeg(Bytes file) {
  if (!huffman_tables_fit(file)) {
    throw ImageError("looks like JPEG, but its header is damaged or asks for too many pixels");
  }
  stb_header(file, "JPEG");
  if (!jpeg_ends(file)) throw ImageError("the JPEG is cut off");
  return stb_decode(file, "JPEG");
}

}  // namespace paligemma::formats
