// Pictures in files: PNG, JPEG, WebP, GIF (its first picture), BMP, PNM and TGA, as rows of red, green
// and blue bytes.
//
// Grey, palette, 16-bit and CMYK pictures become 8-bit RGB. Transparency is dropped, as Pillow's
// convert("RGB") does, or blended with white. A picture is turned as its camera noted, as transformers'
// load_image turns it (docs/decisions/0014-pictures-are-upright.md). What cannot be read in full is an
// ImageError that says what the file looks like.
//
// Read next: processing/resize.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "tensor/buffer.h"

namespace paligemma {

using RgbImage = Buffer<std::uint8_t, 3>;  // [H, W, 3]

struct ReadOptions {
  bool turns = true;          // upright, as EXIF or XMP says; else as stored
  bool blends_alpha = false;  // transparency with white; else it is dropped
};

// `name` begins the message of an error.
RgbImage decode_image(std::span<const std::byte> file, const std::string& name,
                      const ReadOptions& options = {});

// A file or a pipe; "-" is standard input. Devices, which may never end, are not read.
RgbImage read_image(const std::filesystem::path& path, const ReadOptions& options = {});

// "libjpeg-turbo 2.1.5, libwebp 1.2.4"
std::string picture_decoders();

}  // namespace paligemma
