#include "processing/formats/webp_notes.h"

#include <algorithm>

#include "processing/formats/orientation.h"

namespace paligemma::formats {

// "RIFF", the size of the rest, "WEBP", then chunks: a name, a size and as many bytes, filled up to an even
// number. The first, VP8X, has a bit for EXIF and one for XMP.
int webp_orientation(Bytes file) {
  constexpr std::size_t kExif = 8, kXmp = 4;
  const std::size_t end = std::min(file.size(), 8 + little_endian(file, 4, 4));
  const std::string_view text = characters(file.first(end));
  if (end < 30 || text.substr(12, 4) != "VP8X") return 1;
  const std::size_t flags = byte_at(file, 20);
  std::string_view exif, xmp;
  std::size_t size = 0;
  for (std::size_t at = 12; at + 8 <= end; at += 8 + size + size % 2) {
    size = little_endian(file, at + 4, 4);
    const std::string_view name = text.substr(at, 4), content = text.substr(at + 8, size);
    if (name == "EXIF" && exif.empty() && flags & kExif) exif = content;
    if (name == "XMP " && xmp.empty() && flags & kXmp) xmp = content;
  }
  return orientation_of(exif, xmp);
}

}  // namespace paligemma::formats
