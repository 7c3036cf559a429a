#include "processing/formats/webp.h"
#include "tensor/errors.h"

namespace paligemma::formats {

Picture decode_webp(Bytes) {
  throw ImageError(
      "looks like WebP, which this build does not read; convert it: dwebp IN -o OUT.png");
}

std::string webp_decoder() { return ""; }

}  // namespace paligemma::formats
