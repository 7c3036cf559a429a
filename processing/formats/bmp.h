// BMP pictures.
#pragma once

#include "processing/formats/picture.h"

namespace paligemma::formats {

Picture decode_bmp(Bytes file);

}  // namespace paligemma::formats
