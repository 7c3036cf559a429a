// A strip of a picture, as often as there are words: each time as bright as the word looked at it.
#pragma once

#include <span>
#include <vector>

#include "processing/image_file.h"

namespace paligemma {

// `picture` [S, S, 3]; a map has a number for each of its patches, which stand in rows of equally many. The
// first tile is the picture itself; the brightest patch of each further one has its colours, and one that
// was not looked at a quarter of them.
RgbImage attention_strip(View<const std::uint8_t, 3> picture,
                         std::span<const std::vector<float>> maps);

}  // namespace paligemma
