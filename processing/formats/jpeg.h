// JPEG pictures.
#pragma once

#include "processing/formats/picture.h"

namespace paligemma::formats {

Picture decode_jpeg(Bytes file);

}  // namespace paligemma::formats
