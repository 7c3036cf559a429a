#include "siglip/patch_embedding.h"

namespace paligemma {

template <class Weight>
void patch_embedding(Reference, View<const float, 3> pixels, View<const Weight, 2> weight,
                     View<const Weight, 1> bias, Index patch_size, View<float, 2> y) {
  const Index R = pixels.size(0), P = patch_size, D = weight.size(0);
  PG_CHECK(pixels.size(1) == R && pixels.size(2) == 3, "pixels " + shape_text(pixels));
  PG_CHECK(P > 0 && weight.size(1) == 3 * P * P,
           "weight " + shape_text(weight) + ", patch size " + std::to_string(P));
  PG_CHECK(bias.size(0) == D, "weight " + shape_text(weight) + ", bias " + shape_text(bias));
  const Index side = R / P;
  PG_CHECK(y.size(0) == side * side && y.size(1) == D,
           "pixels " + shape_text(pixels) + ", y " + shape_text(y));

#pragma omp parallel for
  for (Index l = 0; l < side * side; ++l) {
    const Index top = l / side * P, left = l % side * P;
    for (Index d = 0; d < D; ++d) {
      float sum = 0.0f;
      for (Index c = 0; c < 3; ++c) {
        for (Index i = 0; i < P; ++i) {
          for (Index j = 0; j < P; ++j) {
            sum += pixels(top + i, left + j, c) * widen(weight(d, (c * P + i) * P + j));
          }
        }
      }
      y(l, d) = sum + widen(bias(d));
    }
  }
}

template void patch_embedding(Reference, View<const float, 3>, View<const float, 2>,
                              View<const float, 1>, Index, View<float, 2>);
template void patch_embedding(Reference, View<const float, 3>, View<const bf16, 2>,
                              View<const bf16, 1>, Index, View<float, 2>);
template void patch_embedding(Reference, View<const float, 3>, View<const f16, 2>,
                              View<const f16, 1>, Index, View<float, 2>);

void patch_embedding_backward(Reference, View<const float, 3> pixels, Index patch_size,
                              View<const float, 2> dy, View<float, 2> dweight,
                              View<float, 1> dbias) {
  const Index R = pixels.size(0), P = patch_size, D = dy.size(1);
  const bool has_weight = dweight.data() != nullptr, has_bias = dbias.data() != nullptr;
  PG_CHECK(pixels.size(1) == R && pixels.size(2) == 3, "pixels " + shape_text(pixels));
  PG_CHECK(P > 0 && (!has_weight || (dweight.size(0) == D && dweight.size(1) == 3 * P * P)) &&
               (!has_bias || dbias.size(0) == D),
           "dy " + shape_text(dy) + ", dweight " + shape_text(dweight) + ", dbias " +
               shape_text(dbias) + ", patch size " + std::to_string(P));
  const Index side = R / P;
  PG_CHECK(dy.size(0) == side * side, "pixels " + shape_text(pixels) + ", dy " + shape_text(dy));

#pragma omp parallel for
  for (Index d = 0; d < D; ++d) {
    for (Index l = 0; l < side * side; ++l) {
      const Index top = l / side * P, left = l % side * P;
      if (has_bias) dbias(d) += dy(l, d);
      for (Index c = 0; has_weight && c < 3; ++c) {
        for (Index i = 0; i < P; ++i) {
          for (Index j = 0; j < P; ++j) {
            dweight(d, (c * P + i) * P + j) += dy(l, d) * pixels(top + i, left + j, c);
          }
        }
      }
    }
  }
}

}  // namespace paligemma
