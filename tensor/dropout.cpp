#include "tensor/dropout.h"

#include <string>

namespace paligemma {

void check_dropout(const Dropout& rule) {
  PG_CHECK(0 <= rule.rate && rule.rate < 1, "rate " + std::to_string(rule.rate));
}

void dropout(Reference, const Dropout& rule, View<float, 2> x) {
  check_dropout(rule);
  if (rule.rate == 0) return;
#pragma omp parallel for
  for (Index t = 0; t < x.size(0); ++t) {
    for (Index d = 0; d < x.size(1); ++d) x(t, d) *= dropout_factor(rule, t, d);
  }
}

}  // namespace paligemma
