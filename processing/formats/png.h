// PNG pictures.
#pragma once

#include "processing/formats/picture.h"

namespace paligemma::formats {

Picture decode_png(Bytes file);

}  // namespace paligemma::formats
