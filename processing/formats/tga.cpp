#include "processing/formats/tga.h"

#include "processing/formats/stb.h"
#include "tensor/errors.h"

namespace paligemma::formats {
namespace {

// A TGA: a header, a name, a palette, then pixels, or runs of pixels if bit 3 of the type is set.
bool tga_ends(Bytes file, const StbHeader& header) {
  const auto bytes_of = [](std::size_t bits) { return (bits + 7) / 8; };
  std::size_t at = 18 + byte_at(file, 0);
  if (byte_at(file, 1) == 1) at += little_endian(file, 5, 2) * bytes_of(byte_at(file, 7));
  const std::size_t pixel = bytes_of(byte_at(file, 16)), pixels = header.W * header.H;
  const bool has_runs = (byte_at(file, 2) & 8) != 0;
  if (!has_runs) at += pixels * pixel;
  for (std::size_t seen = 0; has_runs && seen < pixels;) {
    if (at >= file.size()) return false;
    const std::size_t run = byte_at(file, at), length = (run & 0x7f) + 1;
    at += 1 + (run & 0x80 ? 1 : length) * pixel;
    seen += length;
  }
  return at <= file.size();
}

}  // namespace

Picture decode_tga(Bytes file) {
  const StbHeader header = stb_header(file, "TGA");
  if (!tga_ends(file, header)) throw ImageError("the TGA is cut off");
  return stb_decode(file, "TGA");
}

}  // namespace paligemma::formats
