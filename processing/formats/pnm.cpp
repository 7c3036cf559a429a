#include "processing/formats/pnm.h"

#include <algorithm>

#include "processing/formats/stb.h"
#include "tensor/errors.h"

namespace paligemma::formats {
namespace {

// Behind the letters width, height and the largest sample, each behind blanks and comments, then one
// blank. stb_image does not see that a number is too long for it.
struct PnmHeader {
  std::size_t pixels_at = 2, largest = 0;
  bool is_sound = true;
};

PnmHeader pnm_header(Bytes bytes) {
  const std::string_view file = characters(bytes);
  PnmHeader header;
  std::size_t& at = header.pixels_at;
  const auto skip_to = [&](std::size_t next) { at = std::min(next, file.size()); };
  for (int i = 0; i < 3; ++i) {
    constexpr std::string_view kBlanks = " \t\n\v\f\r", kDigits = "0123456789";
    skip_to(file.find_first_not_of(kBlanks, at));
    while (byte_at(bytes, at) == '#') {
      skip_to(file.find_first_of("\n\r", at));
      skip_to(file.find_first_not_of(kBlanks, at));
    }
    const std::size_t number = at;
    skip_to(file.find_first_not_of(kDigits, at));
    header.is_sound &= at > number && at - number <= 9;
    header.largest = 0;
    for (char digit : file.substr(number, at - number)) {
      header.largest = 10 * header.largest + static_cast<std::size_t>(digit - '0');
    }
  }
  ++at;
  return header;
}

}  // namespace

Picture decode_pnm(Bytes file) {
  const bool has_colour = byte_at(file, 1) == '6';
  const std::string format = has_colour ? "PPM" : "PGM";
  const PnmHeader header = pnm_header(file);
  if (!header.is_sound) {
    throw ImageError("looks like " + format +
                     ", but its header is damaged or asks for too many pixels");
  }
  const StbHeader stb = stb_header(file, format);
  if (header.largest != 255) {  // stb_image would read past its own memory
    throw ImageError("its samples do not go from 0 to 255; convert it to PNG");
  }
  if (file.size() < header.pixels_at + stb.W * stb.H * (has_colour ? 3 : 1)) {
    throw ImageError("the " + format + " is cut off");
  }
  return stb_decode(file, format);
}

}  // namespace paligemma::formats
