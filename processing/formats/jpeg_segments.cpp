#include "processing/formats/jpeg_segments.h"

#include <algorithm>
#include <string>

#include "processing/formats/orientation.h"
#include "tensor/errors.h"

namespace paligemma::formats {
namespace {

using namespace std::string_view_literals;

constexpr std::size_t kEnd = 0xd9, kScan = 0xda, kApp1 = 0xe1;

bool is_frame(std::size_t marker) {
  return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
}

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

JpegFrame jpeg_frame(Bytes file) {
  JpegSegments segments(file);
  auto s = segments.next();
  while (s && !is_frame(s->marker) && s->marker != kEnd) s = segments.next();
  if (!s || !is_frame(s->marker) || s->content.size() < 6) throw ImageError("the JPEG is cut off");
  const JpegFrame frame{s->marker, big_endian(s->content, 3, 2), big_endian(s->content, 1, 2),
                        byte_at(s->content, 5)};
  const std::size_t bits = byte_at(s->content, 0), kind = s->marker & 7;
  const auto refuse = [](const std::string& what) {
    throw ImageError(what +
                     ", which is not read here; convert it with libjpeg-turbo 3: "
                     "djpeg IN > OUT.ppm");
  };
  if (kind == 3) refuse("is a lossless JPEG");
  if (kind > 4) refuse("is a hierarchical JPEG");
  if (bits != 8) refuse("is a JPEG of " + std::to_string(bits) + " bits a sample");
  if (frame.components != 1 && frame.components != 3 && frame.components != 4) {
    throw ImageError("is a JPEG of " + std::to_string(frame.components) +
                     " components, which are no known colours");
  }
  return frame;
}

std::size_t jpeg_end(Bytes file) {
  constexpr int kMaxScans = 1000;  // usual are 1 to 12
  int scans = 0;
  JpegSegments segments(file);
  while (const auto segment = segments.next()) {
    if (segment->marker == kScan && ++scans > kMaxScans) {
      throw ImageError("is a JPEG of more than 1000 scans");
    }
    if (segment->marker != kEnd) continue;
    if (scans == 0) throw ImageError("the JPEG has a header only");
    return segments.at();
  }
  throw ImageError("the JPEG is cut off");
}

bool huffman_tables_fit(Bytes content) {
  for (std::size_t at = 0; at < content.size();) {  // a byte for its place, 16 counts, the values
    std::size_t codes = 0;
    for (int bits = 1; bits <= 16; ++bits) codes += byte_at(content, at + bits);
    at += 17 + codes;
    if (codes > 256 || at > content.size()) return false;
  }
  return true;
}

// EXIF that is longer than a segment goes on in the next. Of two XMPs the last counts, as for Pillow.
int jpeg_orientation(Bytes file) {
  constexpr auto kExif = "Exif\0\0"sv, kXmp = "http://ns.adobe.com/xap/1.0/\0"sv;
  std::string exif;
  std::string_view xmp;
  JpegSegments segments(file);
  for (auto s = segments.next(); s && s->marker != kScan && s->marker != kEnd;
       s = segments.next()) {
    const std::string_view content = characters(s->content);
    if (s->marker != kApp1) continue;
    if (content.starts_with(kExif)) exif += content.substr(kExif.size());
    if (content.starts_with(kXmp)) xmp = content.substr(kXmp.size());
  }
  return orientation_of(exif, xmp);
}

}  // namespace paligemma::formats
