#include "train/adafactor.h"

#include <algorithm>
#include <cmath>

namespace paligemma {

void adafactor(Reference, double momentum, double rate, double decay, Index step,
               View<const float, 2> g, AdafactorState state, View<float, 2> w) {
  const auto& [r, c, m] = state;
  const Index O = w.size(0), I = w.size(1);
  const bool factored = is_factored(O, I);
  PG_CHECK(step >= 1, "step " + std::to_string(step));
  PG_CHECK(g.shape() == w.shape() && m.shape() == w.shape() &&
               r.size(0) == (factored ? O : O * I) && c.size(0) == (factored ? I : 0),
           "w " + shape_text(w) + ", g " + shape_text(g) + ", m " + shape_text(m) + ", r " +
               shape_text(r) + ", c " + shape_text(c));
  const double beta2 = std::min(0.999, 1 - std::pow(static_cast<double>(step), -0.8));
  const auto moved = [beta2](float& mean, double now) {
    mean = static_cast<float>(beta2 * double{mean} + (1 - beta2) * now);
  };
  const auto square = [&](Index o, Index i) { return double{g(o, i)} * double{g(o, i)} + 1e-30; };

  double mean_r = 0;
  for (Index o = 0; factored && o < O; ++o) {
    double sum = 0;
    for (Index i = 0; i < I; ++i) sum += square(o, i);
    moved(r(o), sum / static_cast<double>(I));
    mean_r += double{r(o)} / static_cast<double>(O);
  }
  for (Index i = 0; factored && i < I; ++i) {
    double sum = 0;
    for (Index o = 0; o < O; ++o) sum += square(o, i);
    moved(c(i), sum / static_cast<double>(O));
  }

  const auto old = static_cast<float>(momentum), now = static_cast<float>(1 - momentum),
             size = static_cast<float>(rate), drawn = static_cast<float>(decay);
  for (Index o = 0; o < O; ++o) {
    for (Index i = 0; i < I; ++i) {
      if (!factored) moved(r(o * I + i), square(o, i));
      const double mean_square =
          factored ? double{r(o)} * double{c(i)} / mean_r : double{r(o * I + i)};
      const auto u = static_cast<float>(double{g(o, i)} / std::sqrt(mean_square));
      m(o, i) = old * m(o, i) + now * u;
      w(o, i) -= size * (m(o, i) + drawn * w(o, i));
    }
  }
}

}  // namespace paligemma
