// Small pictures for tests of their readers: files, the pattern that most of them hold, and how a
// reader refuses.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iterator>
#include <span>
#include <string>

#include "processing/image_file.h"
#include "tensor/errors.h"
#include "tests/support/source_dir.h"

namespace paligemma::test {

inline const std::string kPictures = source_dir() + "/tests/data/pictures/";

inline std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline RgbImage decoded(const std::string& bytes, const std::string& name = "a picture",
                        const ReadOptions& options = {}) {
  return decode_image(std::as_bytes(std::span(bytes)), name, options);
}

// The message of the ImageError, or "" if there was none.
inline std::string refusal_of(const std::function<void()>& read) {
  try {
    read();
  } catch (const ImageError& error) {
    return error.what();
  }
  return "";
}

inline std::string refusal(const std::string& bytes, const std::string& name = "a picture") {
  return refusal_of([&] { decoded(bytes, name); });
}

// (37 x + 59 y + 91 c) mod 256, five rows of seven pixels, as in tests/data/make_data.py. Grey
// pictures have the red channel three times.
inline RgbImage pattern(bool grey = false, Index H = 5, Index W = 7) {
  RgbImage image({H, W, 3});
  for (Index y = 0; y < H; ++y) {
    for (Index x = 0; x < W; ++x) {
      for (Index c = 0; c < 3; ++c) {
        image.view()(y, x, c) = static_cast<std::uint8_t>(37 * x + 59 * y + (grey ? 0 : 91 * c));
      }
    }
  }
  return image;
}

inline ::testing::AssertionResult same(const RgbImage& actual, const RgbImage& expected,
                                       int by = 0) {
  if (actual.view().shape() != expected.view().shape()) {
    return ::testing::AssertionFailure() << "shape " << shape_text(actual.view());
  }
  for (Index i = 0; i < actual.view().count(); ++i) {
    const int a = actual.view().data()[i], e = expected.view().data()[i];
    if (std::abs(a - e) > by) {
      return ::testing::AssertionFailure()
             << "at flat index " << i << ": " << a << ", expected " << e;
    }
  }
  return ::testing::AssertionSuccess();
}

// FNV-1a of an image's bytes, which stands for what Pillow makes of the same file.
inline std::uint64_t hash_of(const RgbImage& image) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (Index i = 0; i < image.view().count(); ++i) {
    hash = (hash ^ image.view().data()[i]) * 0x100000001b3;
  }
  return hash;
}

inline std::string number(std::size_t value, int bytes, bool is_little = false) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> 8 * i);
  return is_little ? text : std::string(text.rbegin(), text.rend());
}

// EXIF with one tag, the orientation. Types are TIFF's: 1 BYTE, 3 SHORT, 4 LONG.
inline std::string exif(std::size_t orientation, bool is_little = true, std::size_t type = 3) {
  const auto n = [&](std::size_t value, int bytes) { return number(value, bytes, is_little); };
  const int size = type == 3 ? 2 : type == 1 ? 1 : 4;
  return (is_little ? "II" : "MM") + n(42, 2) + n(8, 4) + n(1, 2) + n(0x112, 2) + n(type, 2) +
         n(1, 4) + n(orientation, size) + std::string(static_cast<std::size_t>(4 - size), '\0') +
         n(0, 4);
}

inline std::string xmp(int orientation, bool is_element = false) {
  const std::string value = std::to_string(orientation);
  return "<x:xmpmeta><rdf:Description " +
         (is_element ? "><tiff:Orientation>" + value + "</tiff:Orientation>"
                     : "tiff:Orientation=\"" + value + "\">") +
         "</rdf:Description></x:xmpmeta>";
}

inline std::string jpeg_segment(char marker, const std::string& content) {
  return std::string{'\xff', marker} + number(content.size() + 2, 2) + content;
}

// Behind the JPEG's first two bytes.
inline std::string with_segment(const std::string& jpeg, char marker, const std::string& content) {
  return jpeg.substr(0, 2) + jpeg_segment(marker, content) + jpeg.substr(2);
}

inline std::string png_chunk(const std::string& type, const std::string& content) {
  std::uint32_t crc = ~0u;
  for (char c : type + content) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
  }
  return number(content.size(), 4) + type + content + number(~crc, 4);
}

// In front of the PNG's first chunk of that type.
inline std::string with_chunk(const std::string& png, const std::string& chunk,
                              const std::string& before = "IDAT") {
  const std::size_t at = png.find(before) - 4;
  return png.substr(0, at) + chunk + png.substr(at);
}

}  // namespace paligemma::test
