#include "processing/image_file.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "processing/formats/bmp.h"
#include "processing/formats/gif.h"
#include "processing/formats/jpeg.h"
#include "processing/formats/jpeg_decoder.h"
#include "processing/formats/jpeg_segments.h"
#include "processing/formats/orientation.h"
#include "processing/formats/png.h"
#include "processing/formats/png_notes.h"
#include "processing/formats/pnm.h"
#include "processing/formats/stb.h"
#include "processing/formats/tga.h"
#include "processing/formats/webp.h"
#include "processing/formats/webp_notes.h"
#include "tensor/errors.h"
#include "tensor/paths.h"

namespace paligemma {
namespace {

constexpr std::size_t kMaxFileBytes = std::size_t{1} << 30;

using namespace formats;

struct Magic {
  std::size_t offset;
  std::string_view bytes;
  std::string_view format;
  Picture (*decode)(Bytes file) = nullptr;   // not read here
  int (*orientation)(Bytes file) = nullptr;  // the format has none
};

using namespace std::string_view_literals;
constexpr std::array<Magic, 20> kMagics{
    {{0, "\x89PNG\r\n\x1a\n"sv, "PNG", decode_png, png_orientation},
     {0, "\xff\xd8\xff"sv, "JPEG", decode_jpeg, jpeg_orientation},
     {0, "GIF8"sv, "GIF", decode_gif},
     {0, "BM"sv, "BMP", decode_bmp},
     {0, "P5"sv, "PGM", decode_pnm},
     {0, "P6"sv, "PPM", decode_pnm},
     {0, "8BPS"sv, "PSD"},
     {0, "\x53\x80\xf6\x34"sv, "Softimage PIC"},
     {8, "WEBP"sv, "WebP", decode_webp, webp_orientation},
     {4, "ftypavif"sv, "AVIF"},
     {4, "ftyphei"sv, "HEIC"},
     {4, "ftypmif1"sv, "HEIF"},
     {0, "II*\0"sv, "TIFF"},
     {0, "MM\0*"sv, "TIFF"},
     {0, "\xff\x0a"sv, "JPEG XL"},
     {0, "\0\0\0\x0cJXL "sv, "JPEG XL"},
     {0, "%PDF"sv, "PDF"},
     {0, "<svg"sv, "SVG"},
     {0, "<?xml"sv, "XML or SVG"},
     {0, "#?RADIANCE"sv, "Radiance HDR"}}};

const Magic* magic_of(std::string_view file) {
  for (const Magic& magic : kMagics) {
    if (file.size() >= magic.offset && file.substr(magic.offset).starts_with(magic.bytes)) {
      return &magic;
    }
  }
  return nullptr;
}

Picture decode(Bytes file, const std::string& name, const ReadOptions& options) {
  if (file.empty()) throw ImageError("the file is empty");
  if (file.size() > kMaxFileBytes) throw ImageError("larger than 1 GiB");
  const Magic* magic = magic_of(characters(file));
  if (magic && !magic->decode) {
    throw ImageError("looks like " + std::string(magic->format) +
                     ", which is not read here; convert it to PNG or JPEG");
  }
  if (magic) {
    Picture picture = magic->decode(file);
    const bool turns = options.turns && magic->orientation;
    return turns ? upright(std::move(picture), magic->orientation(file)) : std::move(picture);
  }
  // TGA has no magic number, so it is believed only of a file with that name. What begins with 0xff,
  // stb_image takes for a JPEG.
  const bool is_tga = std::filesystem::path(name).extension() == ".tga" && byte_at(file, 0) != 0xff;
  if (!is_tga) throw ImageError("not a picture of a known format");
  return decode_tga(file);
}

// A pixel of alpha a is c a + 255 (255 - a), divided by 255, or c.
RgbImage without_alpha(Picture picture, bool blends) {
  const auto from = std::as_const(picture.pixels).view();
  if (from.size(2) == 3) return std::move(picture.pixels);
  RgbImage image({from.size(0), from.size(1), 3}, unwritten);
  for (Index i = 0; i < from.size(0) * from.size(1); ++i) {
    const std::uint8_t *pixel = from.data() + 4 * i, alpha = pixel[3];
    for (Index c = 0; c < 3; ++c) {
      image.view().data()[3 * i + c] =
          blends ? over_255(pixel[c] * alpha + 255 * (255 - alpha)) : pixel[c];
    }
  }
  return image;
}

std::string slurp(std::istream& in) {
  std::string bytes;
  std::array<char, 1 << 16> block;
  while (in && bytes.size() <= kMaxFileBytes) {
    in.read(block.data(), block.size());
    bytes.append(block.data(), static_cast<std::size_t>(in.gcount()));
  }
  return bytes;
}

}  // namespace

RgbImage decode_image(Bytes file, const std::string& name, const ReadOptions& options) {
  try {
    return without_alpha(decode(file, name, options), options.blends_alpha);
  } catch (const ImageError& error) {
    throw ImageError(name + ": " + error.what());
  }
}

RgbImage read_image(const std::filesystem::path& path, const ReadOptions& options) {
  const auto decoded = [&](std::istream& in, const std::string& name) {
    const std::string bytes = slurp(in);
    return decode_image(std::as_bytes(std::span(bytes)), name, options);
  };
  if (path == "-") return decoded(std::cin, "standard input");
  if (!is_there(path)) throw ImageError(path.string() + ": no such file");
  if (is_folder(path)) throw ImageError(path.string() + ": is a folder");
  if (is_device(path)) throw ImageError(path.string() + ": is a device");
  std::ifstream file(path, std::ios::binary);
  if (!file) throw ImageError(path.string() + ": cannot be opened");
  return decoded(file, path.string());
}

std::string picture_decoders() {
  const std::string webp = webp_decoder();
  return jpeg_decoder() + (webp.empty() ? "" : ", " + webp);
}

std::string encode_png(View<const std::uint8_t, 3> image) { return stb_encode_png(image); }

void write_png(const std::filesystem::path& path, View<const std::uint8_t, 3> image) {
  const std::string png = encode_png(image);
  std::ofstream file(path, std::ios::binary);
  if (!(file << png).flush()) throw std::runtime_error(path.string() + ": cannot be written");
}

}  // namespace paligemma
