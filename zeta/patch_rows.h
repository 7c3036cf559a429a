// Patch rows: cut the picture into squares and lay the pixels of each side by side.
//
//   y[l, (i P + j) C + c] = pixels[r P + i, q P + j, c]      l = r (R / P) + q, 0 <= i, j < P
//
//   pixels  [R, R, C]        channels last, in any scale
//   y       [L, P * P * C]   P the side of a patch, which divides R; L = (R / P)^2 patches, row by row
//
// Paper: Dosovitskiy et al. 2020, "An image is worth 16x16 words", eq. 1 (x_p). Channels are fastest
// here, as zeta's "b c (h p1) (w p2) -> b (h w) (p1 p2 c)" has it, and slowest in SigLIP's weights
// (siglip/patch_embedding.h). The rows stand by themselves because they are normalised before they
// meet any weights.
//
// Read next: tensor/unit_rows.h.
#pragma once

#include "tensor/execution.h"
#include "tensor/view.h"

namespace paligemma {

void patch_rows(Reference, View<const float, 3> pixels, Index patch_size, View<float, 2> y);

}  // namespace paligemma
