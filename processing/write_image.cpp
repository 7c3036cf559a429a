#include "processing/write_image.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <new>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "tensor/check.h"
#include "tensor/write_file.h"

#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#define STBI_WRITE_NO_STDIO
#include <stb_image_write.h>

namespace paligemma {
namespace {

constexpr int kJpegQuality = 95;        // above 90, stb_image_write leaves no colour out
constexpr Index kMostIn16Bits = 65535;  // a side of a JPEG or TGA

constexpr std::array<std::pair<std::string_view, ImageFormat>, 5> kEndings{
    {{".png", ImageFormat::png},
     {".jpg", ImageFormat::jpeg},
     {".jpeg", ImageFormat::jpeg},
     {".bmp", ImageFormat::bmp},
     {".tga", ImageFormat::tga}}};

void append(void* file, void* bytes, int size) {
  static_cast<std::string*>(file)->append(static_cast<const char*>(bytes),
                                          static_cast<std::size_t>(size));
}

}  // namespace

std::optional<ImageFormat> image_format_of(const std::filesystem::path& name) {
  std::string ending = name.extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const auto* found = std::find_if(kEndings.begin(), kEndings.end(),
                                   [&](const auto& known) { return known.first == ending; });
  return found == kEndings.end() ? std::nullopt : std::optional(found->second);
}

std::string encode_image(View<const std::uint8_t, 3> image, ImageFormat format) {
  const auto H = static_cast<int>(image.size(0)), W = static_cast<int>(image.size(1));
  const auto C = static_cast<int>(image.size(2));
  PG_CHECK((C == 1 || C == 3) && image.is_row_major(), "image " + shape_text(image));
  const bool has_16_bits = format == ImageFormat::jpeg || format == ImageFormat::tga;
  if (has_16_bits && std::max(H, W) > kMostIn16Bits) {
    throw std::runtime_error(std::to_string(W) + " x " + std::to_string(H) +
                             " pixels are too many for a JPEG or TGA; a PNG holds them");
  }
  std::string file;
  const auto encode = [&] {
    switch (format) {
      case ImageFormat::jpeg:
        return stbi_write_jpg_to_func(append, &file, W, H, C, image.data(), kJpegQuality);
      case ImageFormat::bmp:
        return stbi_write_bmp_to_func(append, &file, W, H, C, image.data());
      case ImageFormat::tga:
        return stbi_write_tga_to_func(append, &file, W, H, C, image.data());
      case ImageFormat::png:
        break;
    }
    return stbi_write_png_to_func(append, &file, W, H, C, image.data(), C * W);
  };
  if (!encode()) throw std::bad_alloc();
  return file;
}

void write_image(const std::filesystem::path& path, View<const std::uint8_t, 3> image) {
  const auto format = image_format_of(path);
  PG_CHECK(format.has_value(), path.string());
  write_file(path, encode_image(image, *format));
}

}  // namespace paligemma
