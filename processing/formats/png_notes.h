// What a PNG says besides its pixels, in chunks in front of and behind them: EXIF and XMP.
#pragma once

#include "processing/formats/picture.h"

namespace paligemma::formats {

int png_orientation(Bytes file);

}  // namespace paligemma::formats
