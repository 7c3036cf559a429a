#include "fast/siglip/patch_embedding.h"

#include "fast/tensor/linear.h"

namespace paligemma {

template <class Weight>
void patch_embedding(const Fast& on, View<const float, 3> pixels, View<const Weight, 2> weight,
                     View<const Weight, 1> bias, Index patch_size, View<float, 2> y) {
  const Index R = pixels.size(0), P = patch_size;
  PG_CHECK(pixels.size(1) == R && pixels.size(2) == 3, "pixels " + shape_text(pixels));
  PG_CHECK(P > 0 && weight.size(1) == 3 * P * P,
           "weight " + shape_text(weight) + ", patch size " + std::to_string(P));
  const Index side = R / P;

  const auto floats = static_cast<std::size_t>(side * side * 3 * P * P);
  auto* const memory = static_cast<float*>(on.scratch(0, Scratch::patches, floats * sizeof(float)));
  const View<float, 2> patches(memory, {side * side, 3 * P * P});
  for (Index l = 0; l < side * side; ++l) {
    const Index top = l / side * P, left = l % side * P;
    float* to = patches.row(l).data();
    for (Index c = 0; c < 3; ++c) {
      for (Index i = 0; i < P; ++i) {
        for (Index j = 0; j < P; ++j) *to++ = pixels(top + i, left + j, c);
      }
    }
  }
  linear(on, View<const float, 2>(patches), Linear<HostWeights<Weight>>{weight, bias}, y);
}

#define PG_PATCH_EMBEDDING_OF(Weight)                                                     \
  template void patch_embedding(const Fast&, View<const float, 3>, View<const Weight, 2>, \
                                View<const Weight, 1>, Index, View<float, 2>);
PG_PATCH_EMBEDDING_OF(float)
PG_PATCH_EMBEDDING_OF(bf16)
PG_PATCH_EMBEDDING_OF(f16)
#undef PG_PATCH_EMBEDDING_OF

}  // namespace paligemma
