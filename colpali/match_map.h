// Match map: where on a page the words of a query found their like.
//
//   heat[y,x] = max_t  q[t] . patches[y S + x]      t: the tokens that were typed
//
//   q        [T, W]   their rows
//   patches  [L, W]   the page's first rows, of a picture of S by S patches
//   heat     [S, S]   from the top left, a row of patches after the other
//
// Drawn, the hottest patch is red and the coldest is as it was; between the middles of patches heat changes evenly.
//
// Source: Faysse et al. 2024, "ColPali", section 5.3 and figure 3.
//
// Read next: cli/embed.cpp.
#pragma once

#include <cstdint>

#include "tensor/view.h"

namespace paligemma::colpali {

void match_heat(View<const float, 2> q, View<const float, 2> patches, View<float, 2> heat);

// Onto a page of any size, [H, W, 3].
void draw_heat(View<const float, 2> heat, View<std::uint8_t, 3> page);

}  // namespace paligemma::colpali
