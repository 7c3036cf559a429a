#include "fast/siglip/patch_embedding.h"

#include "fast/tensor/linear.h"

namespace paligemma {

namespace {

// The patches of a picture as rows, in the executor's memory.
View<const float, 2> rows_of(const Fast& on, View<const float, 3> pixels, Index P) {
  const Index side = pixels.size(0) / P;
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
  return patches;
}

}  // namespace

template <class Weight>
void patch_embedding(const Fast& on, View<const float, 3> pixels, View<const Weight, 2> weight,
                     View<const Weight, 1> bias, Index patch_size, View<float, 2> y) {
  const Index R = pixels.size(0), P = patch_size;
  PG_CHECK(pixels.size(1) == R && pixels.size(2) == 3, "pixels " + shape_text(pixels));
  PG_CHECK(P > 0 && weight.size(1) == 3 * P * P,
           "weight " + shape_text(weight) + ", patch size " + std::to_string(P));
  linear(on, rows_of(on, pixels, P), Linear<HostWeights<Weight>>{weight, bias}, y);
}

void patch_embedding_backward(const Fast& on, View<const float, 3> pixels, Index patch_size,
                              View<const float, 2> dy, View<float, 2> dweight,
                              View<float, 1> dbias) {
  const Index R = pixels.size(0), P = patch_size;
  PG_CHECK(pixels.size(1) == R && pixels.size(2) == 3, "pixels " + shape_text(pixels));
  PG_CHECK(P > 0, "patch size " + std::to_string(P));
  const View<const float, 2> patches = rows_of(on, pixels, P);
  const View<const float, 2> no_weight(nullptr, {dy.size(1), patches.size(1)});
  linear_backward(on, patches, Linear{no_weight}, dy, {}, {dweight, dbias});
}

#define PG_PATCH_EMBEDDING_OF(Weight)                                                     \
  template void patch_embedding(const Fast&, View<const float, 3>, View<const Weight, 2>, \
                                View<const Weight, 1>, Index, View<float, 2>);
PG_PATCH_EMBEDDING_OF(float)
PG_PATCH_EMBEDDING_OF(bf16)
PG_PATCH_EMBEDDING_OF(f16)
#undef PG_PATCH_EMBEDDING_OF

}  // namespace paligemma
