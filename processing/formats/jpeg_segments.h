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

 private:
  Bytes file_;
  std::size_t at_ = 0;
};

// Whether the first picture's end (0xd9) is there.
bool jpeg_ends(Bytes file);

// From EXIF and XMP.
int jpeg_orientation(Bytes file);

}  // namespace paligemma::formats
