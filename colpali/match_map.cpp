#include "colpali/match_map.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "tensor/dot.h"

namespace paligemma::colpali {
namespace {

constexpr std::array<double, 3> kRed{255, 0, 0};
constexpr double kShare = 0.6;  // of the red, where it is hottest

// A place between the middles of `count` patches: the one before it, and how far it is towards the next.
struct Place {
  Index before;
  double towards;
};
Place place_of(Index pixel, Index pixels, Index count) {
  const double at = (static_cast<double>(pixel) + 0.5) / static_cast<double>(pixels) *
                        static_cast<double>(count) -
                    0.5;
  const double inside = std::clamp(at, 0.0, static_cast<double>(count - 1));
  const auto before = std::min(static_cast<Index>(inside), std::max<Index>(count - 2, 0));
  return {before, inside - static_cast<double>(before)};
}

}  // namespace

void match_heat(View<const float, 2> q, View<const float, 2> patches, View<float, 2> heat) {
  const Index S = heat.size(1);
  PG_CHECK(
      q.size(0) > 0 && q.size(1) == patches.size(1) && patches.size(0) == heat.count(),
      "q " + shape_text(q) + ", patches " + shape_text(patches) + ", heat " + shape_text(heat));
  for (Index l = 0; l < patches.size(0); ++l) {
    float best = dot(q.row(0).data(), patches.row(l).data(), q.size(1));
    for (Index t = 1; t < q.size(0); ++t) {
      best = std::max(best, dot(q.row(t).data(), patches.row(l).data(), q.size(1)));
    }
    heat(l / S, l % S) = best;
  }
}

void draw_heat(View<const float, 2> heat, View<std::uint8_t, 3> page) {
  PG_CHECK(heat.count() > 0 && page.size(2) == 3,
           "heat " + shape_text(heat) + ", page " + shape_text(page));
  const auto [coldest, hottest] = std::minmax_element(heat.data(), heat.data() + heat.count());
  const double low = *coldest, range = *hottest - low;
  if (!(range > 0)) return;
  for (Index y = 0; y < page.size(0); ++y) {
    const Place row = place_of(y, page.size(0), heat.size(0));
    for (Index x = 0; x < page.size(1); ++x) {
      const Place column = place_of(x, page.size(1), heat.size(1));
      const auto across = [&](Index r) {
        const Index next = std::min(column.before + 1, heat.size(1) - 1);
        return std::lerp(double{heat(r, column.before)}, double{heat(r, next)}, column.towards);
      };
      const double here = std::lerp(
          across(row.before), across(std::min(row.before + 1, heat.size(0) - 1)), row.towards);
      const double share = kShare * (here - low) / range;
      for (Index c = 0; c < 3; ++c) {
        const double mixed = std::lerp(page(y, x, c), kRed[static_cast<std::size_t>(c)], share);
        page(y, x, c) = static_cast<std::uint8_t>(std::lround(mixed));
      }
    }
  }
}

}  // namespace paligemma::colpali
