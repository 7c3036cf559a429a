#include "processing/formats/jpeg_segments.h"

#include <algorithm>
#include <string>

#include "processing/formats/orientation.h"

namespace paligemma::formats {
namespace {

using namespace std::string_view_literals;

bool stands_alone(std::size_t marker) { return marker == 1 || (marker >= 0xd0 && marker <= 0xd9); }

}  // namespace

std::optional<JpegSegment> JpegSegments::next() {
  const std::string_view text = characters(file_);
  while ((at_ = text.find('\xff', at_)) != text.npos) {
    while (byte_at(file_, at_) == 0xff) ++at_;  // as many as one likes
    const std::size_t marker = byte_at(file_, at_++);
    if (marker == 0 || (marker >= 0xd0 && marker <= 0xd7)) continue;
    if (stands_alone(marker)) return JpegSegment{marker, {}};
    const std::size_t begin = std::min(at_ + 2, file_.size());
    const std::size_t size = std::max<std::size_t>(big_endian(file_, at_, 2), 2) - 2;
    at_ = std::min(begin + size, file_.size());
    return JpegSegment{marker, file_.subspan(begin, at_ - begin)};
  }
  at_ = file_.size();
  return {};
}

bool jpeg_ends(Bytes file) {
  JpegSegments segments(file);
  while (const auto segment = segments.next()) {
    if (segment->marker == 0xd9) return true;
  }
  return false;
}

// EXIF that is longer than a segment goes on in the next. Of two XMPs the last counts, as for Pillow.
int jpeg_orientation(Bytes file) {
  constexpr auto kExif = "Exif\0\0"sv, kXmp = "http://ns.adobe.com/xap/1.0/\0"sv;
  std::string exif;
  std::string_view xmp;
  JpegSegments segments(file);
  for (auto s = segments.next(); s && s->marker != 0xda && s->marker != 0xd9; s = segments.next()) {
    const std::string_view content = characters(s->content);
    if (s->marker != 0xe1) continue;
    if (content.starts_with(kExif)) exif += content.substr(kExif.size());
    if (content.starts_with(kXmp)) xmp = content.substr(kXmp.size());
  }
  return orientation_of(exif, xmp);
}

}  // namespace paligemma::formats
