// GIF pictures: the first of an animation.
#pragma once

#include "processing/formats/picture.h"

namespace paligemma::formats {

Picture decode_gif(Bytes file);

}  // namespace paligemma::formats
