// What must hold of a picture that a reader has made of anything.
#pragma once

#include <numeric>

#include "processing/formats/picture.h"
#include "tests/fuzz/require.h"

namespace paligemma::fuzz {

// Its pixels are there, to the last.
inline void require_pixels(const formats::Picture& picture) {
  const auto pixels = picture.pixels.view();
  require(pixels.size(0) > 0 && pixels.size(1) > 0);
  require(pixels.size(2) == 3 || pixels.size(2) == 4);
  const unsigned sum = std::accumulate(pixels.data(), pixels.data() + pixels.count(), 0u);
  asm volatile("" : : "r"(sum));  // so that they are read
}

}  // namespace paligemma::fuzz
