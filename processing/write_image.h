// Pictures to files: PNG, JPEG, BMP or TGA, as the name's ending says. The encoder is stb_image_write.
//
// Read back, a JPEG is another picture: its quality is 95 of 100, with as many samples of colour as of
// brightness. The others are the same bytes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "tensor/view.h"

namespace paligemma {

enum class ImageFormat { png, jpeg, bmp, tga };

// By its ending, in capitals or not: .png, .jpg, .jpeg, .bmp or .tga; nothing for any other.
std::optional<ImageFormat> image_format_of(const std::filesystem::path& name);

// [H, W, 3], or grey [H, W, 1], as the bytes of a file. Throws std::runtime_error if a side is too long for
// the format: 65535 pixels for JPEG and TGA.
std::string encode_image(View<const std::uint8_t, 3> image, ImageFormat format);

// Whole or not at all (tensor/write_file.h). The ending is one of those above. Throws std::runtime_error if
// the file cannot be written.
void write_image(const std::filesystem::path& path, View<const std::uint8_t, 3> image);

}  // namespace paligemma
