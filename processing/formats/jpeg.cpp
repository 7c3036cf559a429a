#include "processing/formats/jpeg.h"

#include "processing/formats/jpeg_decoder.h"
#include "processing/formats/jpeg_segments.h"
#include "tensor/errors.h"

namespace paligemma::formats {

Picture decode_jpeg(Bytes file) {
  const JpegFrame frame = jpeg_frame(file);
  check_size(frame.W, frame.H);
  return jpeg_pixels(file.first(jpeg_end(file)));
}

}  // namespace paligemma::formats
