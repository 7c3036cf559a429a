#include "processing/formats/gif.h"

#include "processing/formats/stb.h"
#include "tensor/errors.h"

namespace paligemma::formats {
namespace {

// A GIF is a header, blocks and a semicolon. Two kinds of block begin differently, and both end in
// pieces of up to 255 bytes, each behind its length, the last of length 0.
bool gif_ends(Bytes file) {
  const auto table = [&](std::size_t flags) {
    return flags & 0x80 ? std::size_t{6} << (flags & 7) : std::size_t{0};
  };
  std::size_t at = 13 + table(byte_at(file, 10));
  while (at < file.size() && byte_at(file, at) != ';') {
    const bool is_picture = byte_at(file, at) == ',';
    at += is_picture ? 11 + table(byte_at(file, at + 9)) : 2;
    while (byte_at(file, at) != 0) at += 1 + byte_at(file, at);
    ++at;
  }
  return at < file.size();
}

}  // namespace

Picture decode_gif(Bytes file) {
  stb_header(file, "GIF");
  if (!gif_ends(file)) throw ImageError("the GIF is cut off");
  return stb_decode(file, "GIF");
}

}  // namespace paligemma::formats
