// TGA pictures.
#pragma once

#include "processing/formats/picture.h"

namespace paligemma::formats {

Picture decode_tga(Bytes file);

}  // namespace paligemma::formats
