// What a WebP says besides its pixels: EXIF and XMP, chunks of the extended format.
#pragma once

#include "processing/formats/picture.h"

namespace paligemma::formats {

int webp_orientation(Bytes file);

}  // namespace paligemma::formats
