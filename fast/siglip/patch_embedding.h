// Patch embedding on the CPU, fast: siglip/patch_embedding.h as what it is, a linear layer of the patches
// laid out as rows.
#pragma once

#include "fast/core/fast.h"
#include "siglip/patch_embedding.h"

namespace paligemma {

template <class Weight>
void patch_embedding(const Fast&, View<const float, 3> pixels, View<const Weight, 2> weight,
                     View<const Weight, 1> bias, Index patch_size, View<float, 2> y);

void patch_embedding_backward(const Fast& on, View<const float, 3> pixels, Index patch_size,
                              View<const float, 2> dy, View<float, 2> dweight,
                              View<float, 1> dbias);

}  // namespace paligemma
