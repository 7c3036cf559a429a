#include "processing/formats/bmp.h"

#include "processing/formats/stb.h"
#include "tensor/errors.h"

namespace paligemma::formats {
namespace {

// How many bytes a BMP has: its pixels begin at an offset, and its rows are whole numbers of 32 bits.
std::size_t bmp_size(Bytes file, const StbHeader& header) {
  const bool is_old = little_endian(file, 14, 4) == 12;
  const std::size_t bits = little_endian(file, is_old ? 24 : 28, 2);
  return little_endian(file, 10, 4) + (header.W * bits + 31) / 32 * 4 * header.H;
}

}  // namespace

Picture decode_bmp(Bytes file) {
  const StbHeader header = stb_header(file, "BMP");
  if (file.size() < bmp_size(file, header)) throw ImageError("the BMP is cut off");
  return stb_decode(file, "BMP");
}

}  // namespace paligemma::formats
