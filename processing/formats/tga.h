// TGA pictures: with a color map, in colors or grey, run-length coded or not, from any corner.
#pragma once

#include "processing/formats/picture.h"

namespace paligemma::formats {

Picture decode_tga(Bytes file);

}  // namespace paligemma::formats
