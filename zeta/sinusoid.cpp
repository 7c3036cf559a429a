#include "zeta/sinusoid.h"

#include <cmath>

namespace paligemma {

void sinusoid(Reference, View<const int, 1> positions, float scale, View<float, 2> y) {
  const Index T = y.size(0), E = y.size(1);
  PG_CHECK(positions.size(0) == T, "positions " + shape_text(positions) + ", y " + shape_text(y));
  PG_CHECK(E % 2 == 0, "y " + shape_text(y) + ": a row must have an even number of features");

  for (Index i = 0; i < E / 2; ++i) {
    const double exponent = -2.0 * static_cast<double>(i) / static_cast<double>(E);
    const auto frequency = static_cast<float>(std::pow(10000.0, exponent));
    for (Index t = 0; t < T; ++t) {
      const float angle = static_cast<float>(positions(t)) * frequency;
      y(t, i) += scale * std::sin(angle);
      y(t, i + E / 2) += scale * std::cos(angle);
    }
  }
}

}  // namespace paligemma
