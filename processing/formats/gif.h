// GIF pictures: the first of an animation, on a screen that grows where the picture is larger.
#pragma once

#include "processing/formats/picture.h"

namespace paligemma::formats {

Picture decode_gif(Bytes file);

}  // namespace paligemma::formats
