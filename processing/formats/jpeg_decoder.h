// The pixels of a JPEG whose header has been looked at: by libjpeg-turbo where CMake finds it
// (jpeg_turbo.cpp), which gives Pillow's pixels, since Pillow uses it too; else by stb_image
// (jpeg_stb.cpp), which gives pixels that differ by some levels, and knows no arithmetic coding.
#pragma once

#include <string>

#include "processing/formats/picture.h"

namespace paligemma::formats {

Picture jpeg_pixels(Bytes file);

// "libjpeg-turbo 2.1.5"
std::string jpeg_decoder();

}  // namespace paligemma::formats
