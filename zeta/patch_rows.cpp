#include "zeta/patch_rows.h"

namespace paligemma {

void patch_rows(Reference, View<const float, 3> pixels, Index patch_size, View<float, 2> y) {
  const Index R = pixels.size(0), C = pixels.size(2), P = patch_size;
  PG_CHECK(pixels.size(1) == R, "pixels " + shape_text(pixels));
  PG_CHECK(P > 0 && R % P == 0,
           "pixels " + shape_text(pixels) + ", patch size " + std::to_string(P));
  const Index side = R / P;
  PG_CHECK(y.size(0) == side * side && y.size(1) == P * P * C,
           "pixels " + shape_text(pixels) + ", y " + shape_text(y));

  for (Index l = 0; l < side * side; ++l) {
    const Index top = l / side * P, left = l % side * P;
    for (Index i = 0; i < P; ++i) {
      for (Index j = 0; j < P; ++j) {
        for (Index c = 0; c < C; ++c) y(l, (i * P + j) * C + c) = pixels(top + i, left + j, c);
      }
    }
  }
}

}  // namespace paligemma
