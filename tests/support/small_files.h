// Files of a few bytes and pictures of a few pixels, written out in hexadecimal digits.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "processing/formats/picture.h"
#include "tensor/errors.h"

namespace paligemma::test {

// hex("ff d8") is two bytes; blanks are for the reader.
inline std::string hex(std::string_view digits) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string nibbles, bytes;
  for (char digit : digits) {
    if (digit != ' ') nibbles += static_cast<char>(kDigits.find(digit));
  }
  for (std::size_t i = 0; i + 1 < nibbles.size(); i += 2) {
    bytes += static_cast<char>(nibbles[i] << 4 | nibbles[i + 1]);
  }
  return bytes;
}

inline std::string little_endian(std::uint64_t number, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(number >> (8 * i));
  return text;
}

inline std::string big_endian(std::uint64_t number, int bytes) {
  const std::string text = little_endian(number, bytes);
  return {text.rbegin(), text.rend()};
}

// What a reader makes of a file: "ff0000 00ff00 / 0000ff ffffff", with alpha where the picture has it,
// or why it refuses.
inline std::string outcome(formats::Picture (*decode)(formats::Bytes), const std::string& file) {
  std::string text;
  try {
    const formats::Picture picture = decode(std::as_bytes(std::span(file)));
    const auto pixels = picture.pixels.view();
    for (Index y = 0; y < pixels.size(0); ++y) {
      if (y > 0) text += " /";
      for (Index x = 0; x < pixels.size(1); ++x) {
        text += x + y > 0 ? " " : "";
        for (Index c = 0; c < pixels.size(2); ++c) {
          char digits[3];
          std::snprintf(digits, sizeof digits, "%02x", unsigned{pixels(y, x, c)});
          text += digits;
        }
      }
    }
  } catch (const ImageError& error) {
    return error.what();
  }
  return text;
}

}  // namespace paligemma::test
