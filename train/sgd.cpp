#include "train/sgd.h"

namespace paligemma {

void sgd(Reference, double momentum, double rate, double decay, View<const float, 2> g,
         View<float, 2> m, View<float, 2> w) {
  PG_CHECK(g.shape() == w.shape() && m.shape() == w.shape(),
           "w " + shape_text(w) + ", g " + shape_text(g) + ", m " + shape_text(m));
  const auto kept = static_cast<float>(momentum), size = static_cast<float>(rate),
             drawn = static_cast<float>(decay);
#pragma omp parallel for
  for (Index o = 0; o < w.size(0); ++o) {
    for (Index i = 0; i < w.size(1); ++i) {
      m(o, i) = kept * m(o, i) + g(o, i) + drawn * w(o, i);
      w(o, i) -= size * m(o, i);
    }
  }
}

}  // namespace paligemma
