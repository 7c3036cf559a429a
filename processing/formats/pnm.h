// PBM, PGM and PPM pictures, plain (P1 to P3) and binary (P4 to P6): the first of several in a file.
//
// Samples are stretched to 255, halves to even, as Pillow does. It clips grey samples above 255; here
// they are stretched to 16 bits, and the upper byte is taken, as for other grey pictures of 16 bits.
#pragma once

#include "processing/formats/picture.h"

namespace paligemma::formats {

Picture decode_pnm(Bytes file);

}  // namespace paligemma::formats
