// clang-format off
#include <cstdio>  // which jpeglib.h takes for granted
#include <jpeglib.h>
#include <jerror.h>
// clang-format on

#include <csetjmp>
#include <string>
#include <utility>

#include "processing/formats/jpeg_decoder.h"
#include "tensor/errors.h"

#define PG_TEXT(token) #token
#define PG_TEXT_OF(macro) PG_TEXT(macro)

namespace paligemma::formats {
namespace {

// libjpeg's state. Its error_exit may not return, and C code is not made for exceptions to pass: it jumps
// back to the function here that called the library, which owns nothing that would have to be destroyed.
struct Turbo {
  jpeg_decompress_struct info{};
  jpeg_error_mgr errors{};
  std::jmp_buf failed;
  bool ran_out = false;  // of bytes: libjpeg goes on with an end of its own making

  Turbo() {
    info.err = jpeg_std_error(&errors);
    info.client_data = this;
    errors.error_exit = [](j_common_ptr common) { std::longjmp(of(common).failed, 1); };
    errors.emit_message = [](j_common_ptr common, int level) {
      of(common).ran_out |= level < 0 && common->err->msg_code == JWRN_JPEG_EOF;
    };
  }
  ~Turbo() { jpeg_destroy_decompress(&info); }
  Turbo(const Turbo&) = delete;

  static Turbo& of(j_common_ptr common) { return *static_cast<Turbo*>(common->client_data); }
};

// Pillow's settings are libjpeg's own: the slow exact DCT, colour spread smoothly, and the colour space
// that markers and ids of components say. Four components are inks, not yet turned into light.
bool read_header(Turbo& turbo, Bytes file) {
  if (setjmp(turbo.failed) != 0) return false;
  jpeg_create_decompress(&turbo.info);
  jpeg_mem_src(&turbo.info, reinterpret_cast<const unsigned char*>(file.data()), file.size());
  jpeg_read_header(&turbo.info, TRUE);
  turbo.info.out_color_space = turbo.info.num_components == 4 ? JCS_CMYK : JCS_RGB;
  jpeg_calc_output_dimensions(&turbo.info);
  return true;
}

bool read_rows(Turbo& turbo, JSAMPLE* pixels) {
  if (setjmp(turbo.failed) != 0) return false;
  jpeg_start_decompress(&turbo.info);
  const std::size_t row_size =
      std::size_t{turbo.info.output_width} * static_cast<std::size_t>(turbo.info.output_components);
  while (turbo.info.output_scanline < turbo.info.output_height) {
    JSAMPLE* row = pixels + turbo.info.output_scanline * row_size;
    jpeg_read_scanlines(&turbo.info, &row, 1);
  }
  jpeg_finish_decompress(&turbo.info);
  return true;
}

[[noreturn]] void refuse(Turbo& turbo) {
  char reason[JMSG_LENGTH_MAX];
  turbo.errors.format_message(reinterpret_cast<j_common_ptr>(&turbo.info), reason);
  throw ImageError(std::string("looks like JPEG, but: ") + reason);
}

// Inks are stored as what they leave over, 255 for none, whatever the markers say. As Pillow does:
// c k / 255.
Picture from_inks(const Picture& inks) {
  const auto from = inks.pixels.view();
  Picture picture{Buffer<std::uint8_t, 3>({from.size(0), from.size(1), 3}, unwritten)};
  const auto to = picture.pixels.view();
  for (Index i = 0; i < from.size(0) * from.size(1); ++i) {
    const std::uint8_t* ink = from.data() + 4 * i;
    for (Index c = 0; c < 3; ++c) to.data()[3 * i + c] = over_255(ink[c] * ink[3]);
  }
  return picture;
}

}  // namespace

Picture jpeg_pixels(Bytes file) {
  Turbo turbo;
  if (!read_header(turbo, file)) refuse(turbo);
  const Index H = turbo.info.output_height, W = turbo.info.output_width;
  const Index C = turbo.info.out_color_components;
  Picture picture{Buffer<std::uint8_t, 3>({H, W, C}, unwritten)};
  if (!read_rows(turbo, picture.pixels.view().data())) refuse(turbo);
  if (turbo.ran_out) throw ImageError("the JPEG is cut off");
  return C == 4 ? from_inks(picture) : std::move(picture);
}

std::string jpeg_decoder() { return "libjpeg-turbo " PG_TEXT_OF(LIBJPEG_TURBO_VERSION); }

}  // namespace paligemma::formats
