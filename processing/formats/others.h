// What a file is that is not read here, and the command that makes a PNG or PPM of it.
#pragma once

#include <string>

#include "processing/formats/picture.h"

namespace paligemma::formats {

// "looks like HEIC, which is not read here; convert it: heif-convert IN OUT.png", or "" for what is not
// known.
std::string another_format(Bytes file);

}  // namespace paligemma::formats
