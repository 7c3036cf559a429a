// Small pictures for tests of their readers: files, the pattern that most of them hold, and how a
// reader refuses.
#pragma once

#include <gtest/gtest.h>

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

inline RgbImage decoded(const std::string& bytes, const std::string& name = "a picture") {
  return decode_image(std::as_bytes(std::span(bytes)), name);
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

}  // namespace paligemma::test
