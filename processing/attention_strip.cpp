#include "processing/attention_strip.h"

#include <algorithm>
#include <cmath>

namespace paligemma {
namespace {

constexpr Index kFrame = 2, kSmallest = 96;  // black pixels round a tile; its side at least

}  // namespace

RgbImage attention_strip(View<const std::uint8_t, 3> picture,
                         std::span<const std::vector<float>> maps) {
  const Index S = picture.size(0), times = std::max(Index{1}, (kSmallest + S - 1) / S);
  const Index tile = times * (S + 2 * kFrame), tiles = static_cast<Index>(maps.size()) + 1;
  RgbImage strip({tile, tiles * tile, 3});
  for (Index k = 0; k < tiles; ++k) {
    const std::vector<float> nothing;
    const auto& map = k == 0 ? nothing : maps[static_cast<std::size_t>(k - 1)];
    const auto side = static_cast<Index>(std::lround(std::sqrt(static_cast<double>(map.size()))));
    PG_CHECK(k == 0 || (side > 0 && S % side == 0 && side * side == std::ssize(map)),
             std::to_string(map.size()) + " patches of a side of " + std::to_string(S));
    const float most = k == 0 ? 0 : *std::max_element(map.begin(), map.end());
    for (Index y = times * kFrame; y < tile - times * kFrame; ++y) {
      for (Index x = times * kFrame; x < tile - times * kFrame; ++x) {
        const Index i = y / times - kFrame, j = x / times - kFrame;
        float light = 1;
        if (most > 0) {
          const Index patch = i * side / S * side + j * side / S;
          light = 0.25f + 0.75f * map[static_cast<std::size_t>(patch)] / most;
        }
        for (Index c = 0; c < 3; ++c) {
          strip.view()(y, k * tile + x, c) =
              static_cast<std::uint8_t>(std::lround(light * static_cast<float>(picture(i, j, c))));
        }
      }
    }
  }
  return strip;
}

}  // namespace paligemma
