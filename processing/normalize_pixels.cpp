#include "processing/normalize_pixels.h"

namespace paligemma {

namespace {

template <class Level>
void normalize(View<const Level, 3> x, const PixelScale& scale, View<float, 3> y) {
  PG_CHECK(x.shape() == y.shape() && x.size(2) == 3, "x " + shape_text(x) + ", y " + shape_text(y));
  for (Index r = 0; r < x.size(0); ++r) {
    for (Index q = 0; q < x.size(1); ++q) {
      for (Index c = 0; c < 3; ++c) {
        const auto in_0_1 = static_cast<float>(x(r, q, c) * scale.rescale);
        y(r, q, c) = (in_0_1 - scale.mean[c]) / scale.std[c];
      }
    }
  }
}

}  // namespace

void normalize_pixels(View<const std::uint8_t, 3> x, const PixelScale& scale, View<float, 3> y) {
  normalize(x, scale, y);
}

void normalize_pixels(View<const float, 3> x, const PixelScale& scale, View<float, 3> y) {
  normalize(x, scale, y);
}

}  // namespace paligemma
