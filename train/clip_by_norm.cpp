#include "train/clip_by_norm.h"

#include <cmath>

namespace paligemma {

double global_norm(Reference, std::span<const View<float, 2>> gradients) {
  double sum = 0;
  for (const View<float, 2> gradient : gradients) {
    for (Index i = 0; i < gradient.size(0); ++i) {
      for (Index j = 0; j < gradient.size(1); ++j) {
        sum += double{gradient(i, j)} * double{gradient(i, j)};
      }
    }
  }
  return std::sqrt(sum);
}

void clip_by_norm(Reference, double norm, double longest,
                  std::span<const View<float, 2>> gradients) {
  PG_CHECK(longest > 0, "longest " + std::to_string(longest));
  const float factor = static_cast<float>(longest) / (static_cast<float>(norm) + 1e-6f);
  if (!(factor < 1)) return;
  for (const View<float, 2> gradient : gradients) {
    for (Index i = 0; i < gradient.size(0); ++i) {
      for (Index j = 0; j < gradient.size(1); ++j) gradient(i, j) *= factor;
    }
  }
}

}  // namespace paligemma
