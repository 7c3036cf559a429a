#include "zeta/rotary.h"

#include <cmath>

namespace paligemma {

void rotary(Reference, Index first_position, const RotaryRule& rule, Turn turn, View<float, 3> x) {
  const Index T = x.size(0), N = x.size(1), R = x.size(2);
  PG_CHECK(R % 2 == 0, "x " + shape_text(x) + ": a head must have an even number of features");
  const bool stretched = rule.xpos_scale_base > 0;

  for (Index j = 0; j < R / 2; ++j) {
    const double share = 2.0 * static_cast<double>(j) / static_cast<double>(R);
    const auto frequency = static_cast<float>(std::pow(static_cast<double>(rule.base), -share));
    const auto s = static_cast<float>((share + 0.4) / 1.4);
    for (Index t = 0; t < T; ++t) {
      const Index p = first_position + t;
      const float angle = static_cast<float>(p) / rule.interpolation * frequency;
      float c = 1.0f;
      if (stretched) {
        c = std::pow(s, static_cast<float>(p - rule.xpos_centre) / rule.xpos_scale_base);
        if (turn == Turn::key) c = 1.0f / c;
      }
      const float cos = c * std::cos(angle), sin = c * std::sin(angle);
      for (Index n = 0; n < N; ++n) {
        const float lower = x(t, n, j), upper = x(t, n, j + R / 2);
        x(t, n, j) = lower * cos - upper * sin;
        x(t, n, j + R / 2) = upper * cos + lower * sin;
      }
    }
  }
}

}  // namespace paligemma
