// stb_image, compiled once. It fills what is missing at the end of a file with grey or black and says
// nothing, and believes what headers say: each format's reader looks at both before it decodes.
#pragma once

#include <string>
#include <string_view>

#include "processing/formats/picture.h"

namespace paligemma::formats {

// A picture of 3 or 4 channels. Throws ImageError, also for a size that is not read. `format` is for the
// message.
Picture stb_decode(Bytes file, std::string_view format, int channels = 3);

// What zlib has packed; nothing if it is damaged or longer than `max_size`.
std::string stb_inflate(std::string_view packed, std::size_t max_size);

}  // namespace paligemma::formats
