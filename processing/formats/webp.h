// WebP pictures: lossy, lossless, with alpha; of an animation the first, on a canvas that is 0 elsewhere,
// alpha too.
//
// By libwebp and libwebpdemux where CMake finds them (webp_library.cpp); else refused with a command that
// converts it (webp_absent.cpp).
#pragma once

#include <string>

#include "processing/formats/picture.h"

namespace paligemma::formats {

Picture decode_webp(Bytes file);

// "libwebp 1.2.4", or nothing.
std::string webp_decoder();

}  // namespace paligemma::formats
