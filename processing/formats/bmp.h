// BMP pictures of Windows and OS/2: with a palette or bit fields, run-length coded or not.
#pragma once

#include "processing/formats/picture.h"

namespace paligemma::formats {

Picture decode_bmp(Bytes file);

}  // namespace paligemma::formats
