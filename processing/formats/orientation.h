// Which way up a picture is: what its camera noted in EXIF, or, where EXIF has no such tag, an editor in
// XMP. What cannot be read says nothing.
//
//   1 2   as stored, mirrored            5 6   transposed, turned to the right
//   4 3   upside down: mirrored, turned  8 7   turned to the left, transversed
//
// Source: Exif 2.32, 4.6.4 A, and Pillow 13.0.0's ImageOps.exif_transpose.
#pragma once

#include <string>
#include <string_view>

#include "processing/formats/picture.h"

namespace paligemma::formats {

// From 1 to 8. `exif` is a TIFF file, which "Exif\0\0" may precede; both may be empty.
int orientation_of(std::string_view exif, std::string_view xmp);

// As its orientation says: [H, W, C], or [W, H, C] from 5 on.
Picture upright(Picture picture, int orientation);

}  // namespace paligemma::formats
