// PNG pictures; of an animation the picture that a reader without animations shows.
#pragma once

#include "processing/formats/picture.h"

namespace paligemma::formats {

Picture decode_png(Bytes file);

}  // namespace paligemma::formats
