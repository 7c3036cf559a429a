// What the readers of all formats share: the picture they make, numbers in files, and how many pixels
// are too many. A reader throws ImageError without the file's name, which decode_image puts in front.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "tensor/buffer.h"

namespace paligemma::formats {

struct Picture {
  Buffer<std::uint8_t, 3> pixels;  // [H, W, 3], or [H, W, 4] with alpha that is not premultiplied
};

using Bytes = std::span<const std::byte>;

std::string_view characters(Bytes file);

// Numbers of a file. Bytes behind its end are 0.
std::size_t byte_at(Bytes file, std::size_t at);
std::size_t little_endian(Bytes file, std::size_t at, int bytes);
std::size_t big_endian(Bytes file, std::size_t at, int bytes);

// product / 255 to the nearest, for products of two bytes; there are no ties.
constexpr std::uint8_t over_255(int product) {
  return static_cast<std::uint8_t>((product + 128 + ((product + 128) >> 8)) >> 8);
}

// Throws ImageError for a picture without pixels, or with more than are read.
void check_size(std::size_t W, std::size_t H);

}  // namespace paligemma::formats
