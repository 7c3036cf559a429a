// PGM and PPM pictures of bytes.
#pragma once

#include "processing/formats/picture.h"

namespace paligemma::formats {

Picture decode_pnm(Bytes file);

}  // namespace paligemma::formats
