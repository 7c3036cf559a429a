#include "processing/formats/png.h"

#include "processing/formats/stb.h"
#include "tensor/errors.h"

namespace paligemma::formats {

Picture decode_png(Bytes file) {
  stb_header(file, "PNG");
  const auto end = characters(file).rfind("IEND");
  if (end == std::string_view::npos || file.size() < end + 8) {  // a checksum follows
    throw ImageError("the PNG is cut off");
  }
  return stb_decode(file, "PNG");
}

}  // namespace paligemma::formats
