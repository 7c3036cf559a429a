// The segments of a JPEG: 0xff, a letter, and behind most letters a length and as many bytes less two.
// Behind a scan's header (0xda) its coded pixels follow, in which 0xff stands before 0 or a restart
// (0xd0 to 0xd7) only; they are passed over. Source: ITU-T T.81, annex B.
#pragma once

#include <cstddef>
#include <optional>

#include "processing/formats/picture.h"

namespace paligemma::formats {

struct JpegSegment {
  std::size_t marker;  // its letter
  Bytes content;       // behind its length; shorter where the file ends
};

// One segment after the other from the front, which is not what stands at the end of a file: other
// pictures may follow, and small ones stand in EXIF.
class JpegSegments {
 public:
  explicit JpegSegments(Bytes file) : file_(file) {}
  std::optional<JpegSegment> next();
  std::size_t at() const { return at_; }  // behind the segment

 private:
  Bytes file_;
  std::size_t at_ = 0;
};

// How the first picture is coded. Throws ImageError, by name, for kinds that are not read: of other than
// 8 bits a sample, lossless, hierarchical, of other than 1, 3 or 4 components.
struct JpegFrame {
  std::size_t marker, W, H, components;
  bool is_arithmetic() const { return marker > 0xc8; }
};
JpegFrame jpeg_frame(Bytes file);

// How many bytes the first picture has, up to the end of its last scan and 0xd9. Throws ImageError if
// that is not there, and for pictures of so many scans that somebody means harm.
std::size_t jpeg_end(Bytes file);

// Whether a segment's Huffman tables are whole and have 256 codes each at most. The stb_image of 2022 writes
// more of them past its own memory, and reads on behind the segment.
bool huffman_tables_fit(Bytes content);

// From EXIF and XMP.
int jpeg_orientation(Bytes file);

}  // namespace paligemma::formats
