#include "gemma/rope.h"

#include <cmath>

namespace paligemma {
namespace {

// Turns by the angles above, times `sign`.
void turn(Index first_position, float theta, float sign, View<float, 3> x) {
  const Index T = x.size(0), N = x.size(1), H = x.size(2);
  PG_CHECK(H % 2 == 0, "x " + shape_text(x) + ": the head size must be even");

  for (Index j = 0; j < H / 2; ++j) {
    const double exponent = -2.0 * static_cast<double>(j) / static_cast<double>(H);
    const auto frequency = static_cast<float>(std::pow(static_cast<double>(theta), exponent));
    for (Index t = 0; t < T; ++t) {
      const float angle = static_cast<float>(first_position + t) * frequency;
      const float cos = std::cos(angle), sin = sign * std::sin(angle);
      for (Index n = 0; n < N; ++n) {
        const float lower = x(t, n, j), upper = x(t, n, j + H / 2);
        x(t, n, j) = lower * cos - upper * sin;
        x(t, n, j + H / 2) = upper * cos + lower * sin;
      }
    }
  }
}

}  // namespace

void rope(Reference, Index first_position, float theta, View<float, 3> x) {
  turn(first_position, theta, 1, x);
}

void rope_backward(Reference, Index first_position, float theta, View<float, 3> dx) {
  turn(first_position, theta, -1, dx);
}

}  // namespace paligemma
