#include "tensor/softmax.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace paligemma {

void softmax(Reference, View<const float, 2> x, View<float, 2> y) {
  PG_CHECK(y.shape() == x.shape(), "x " + shape_text(x) + ", y " + shape_text(y));
  const Index T = x.size(0), S = x.size(1);

  for (Index t = 0; t < T; ++t) {
    float max = -std::numeric_limits<float>::infinity();
    for (Index s = 0; s < S; ++s) max = std::max(max, x(t, s));

    float sum = 0.0f;
    for (Index s = 0; s < S; ++s) {
      y(t, s) = std::exp(x(t, s) - max);
      sum += y(t, s);
    }
    for (Index s = 0; s < S; ++s) y(t, s) /= sum;
  }
}

void softmax_backward(Reference, View<const float, 2> y, View<const float, 2> dy,
                      View<float, 2> dx) {
  PG_CHECK(dy.shape() == y.shape() && dx.shape() == y.shape(),
           "y " + shape_text(y) + ", dy " + shape_text(dy) + ", dx " + shape_text(dx));
  const Index T = y.size(0), S = y.size(1);
  for (Index t = 0; t < T; ++t) {
    float mean = 0.0f;  // of dy, weighted by y
    for (Index s = 0; s < S; ++s) mean += dy(t, s) * y(t, s);
    for (Index s = 0; s < S; ++s) dx(t, s) = y(t, s) * (dy(t, s) - mean);
  }
}

}  // namespace paligemma
