#include "train/muon.h"

namespace paligemma {

void muon(Reference, double momentum, double rate, double decay, View<const float, 2> g,
          View<float, 2> m, View<float, 2> w, const Orthogonalize& how) {
  PG_CHECK(g.shape() == w.shape() && m.shape() == w.shape(),
           "w " + shape_text(w) + ", g " + shape_text(g) + ", m " + shape_text(m));
  const Index O = w.size(0), I = w.size(1);
  const auto old = static_cast<float>(momentum), now = static_cast<float>(1 - momentum);
  Buffer<float, 2> u({O, I}, unwritten);
  for (Index o = 0; o < O; ++o) {
    for (Index i = 0; i < I; ++i) {
      m(o, i) = old * m(o, i) + now * g(o, i);
      u.view()(o, i) = old * m(o, i) + now * g(o, i);
    }
  }
  how(std::as_const(u).view(), u.view());
  const double ratio = std::sqrt(std::max(1.0, static_cast<double>(O) / static_cast<double>(I)));
  const auto kept = static_cast<float>(1 - rate * decay), size = static_cast<float>(rate * ratio);
  for (Index o = 0; o < O; ++o) {
    for (Index i = 0; i < I; ++i) w(o, i) = kept * w(o, i) - size * u.view()(o, i);
  }
}

}  // namespace paligemma
