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
#include "processing/formats/others.h"
#include "processing/formats/png.h"
#include "processing/formats/png_notes.h"
#include "processing/formats/pnm.h"
#include "processing/formats/stb.h"
#include "processing/formats/tga.h"
#include "processing/formats/webp.h"
#include "processing/formats/webp_notes.h"
#include "tensor/errors.h"
#include "tensor/paths.h"
#include "tensor/what_it_is.h"

namespace paligemma {
namespace {

constexpr std::size_t kMaxFileBytes = std::size_t{1} << 30;

using namespace formats;

struct Format {
  std::string_view begin;
  Picture (*decode)(Bytes file);
  int (*orientation)(Bytes file) = nullptr;  // none
};

using namespace std::string_view_literals;
constexpr std::array<Format, 10> kFormats{{{"\x89PNG\r\n\x1a\n"sv, decode_png, png_orientation},
                                           {"\xff\xd8\xff"sv, decode_jpeg, jpeg_orientation},
                                           {"GIF8"sv, decode_gif},
                                           {"BM"sv, decode_bmp},
                                           {"P1"sv, decode_pnm},
                                           {"P2"sv, decode_pnm},
                                           {"P3"sv, decode_pnm},
                                           {"P4"sv, decode_pnm},
                                           {"P5"sv, decode_pnm},
                                           {"P6"sv, decode_pnm}}};
constexpr Format kWebp{"RIFF"sv, decode_webp, webp_orientation};  // and "WEBP" behind a size
constexpr Format kTga{""sv, decode_tga};

// TGA has no mark at its beginning, so it is believed only of a file with that name.
const Format* format_of(Bytes file, const std::filesystem::path& name) {
  const std::string_view text = characters(file);
  for (const Format& format : kFormats) {
    if (text.starts_with(format.begin)) return &format;
  }
  if (text.size() >= 12 && text.starts_with(kWebp.begin) && text.substr(8, 4) == "WEBP")
    return &kWebp;
  return name.extension() == ".tga" || name.extension() == ".TGA" ? &kTga : nullptr;
}

Picture decode(Bytes file, const std::string& name, bool turns) {
  if (file.empty()) throw ImageError("the file is empty");
  if (file.size() > kMaxFileBytes) throw ImageError("larger than 1 GiB");
  const std::string another = another_format(file);
  if (!another.empty()) throw ImageError(another);
  const Format* format = format_of(file, name);
  if (!format) {
    const std::string what = what_it_is(characters(file));
    throw ImageError(what.empty() ? "not a picture of a known format" : "looks like " + what);
  }
  Picture picture = format->decode(file);
  if (!turns || !format->orientation) return picture;
  return upright(std::move(picture), format->orientation(file));
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
    return without_alpha(decode(file, name, options.turns), options.blends_alpha);
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

}  // namespace paligemma
