#include "train/ema.h"

#include <string>

namespace paligemma {

void ema(Reference, double decay, View<const float, 2> w, View<float, 2> mean) {
  PG_CHECK(0 <= decay && decay < 1, "decay " + std::to_string(decay));
  PG_CHECK(w.shape() == mean.shape(), "w " + shape_text(w) + ", mean " + shape_text(mean));
  const auto share = static_cast<float>(1 - decay);
#pragma omp parallel for
  for (Index o = 0; o < w.size(0); ++o) {
    for (Index i = 0; i < w.size(1); ++i) mean(o, i) += share * (w(o, i) - mean(o, i));
  }
}

}  // namespace paligemma
