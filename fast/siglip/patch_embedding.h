// Patch embedding on the CPU, fast: siglip/patch_embedding.h as what it is, a linear layer of the patches
// laid out as rows.
#pragma once

#include "fast/core/fast.h"
#include "siglip/patch_embedding.h"

namespace paligemma {

template <class Weight>
void patch_embedding(const Fast&, View<const float, 3> pixels, View<const Weight, 2> weight,
                     View<const Weight, 1> bias, Index patch_size, View<float, 2> y);

}  // namespace paligemma
