#include "gemma/min_p.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace paligemma {

double min_p(float share, float temperature, View<float, 1> logits) {
  PG_CHECK(0 <= share && share <= 1, "a share of " + std::to_string(share));
  PG_CHECK(temperature > 0, "temperature " + std::to_string(temperature));
  const Index V = logits.size(0);
  float max = -INFINITY;
  for (Index v = 0; v < V; ++v) max = std::max(max, logits(v));

  double all = 0, kept = 0;
  for (Index v = 0; v < V; ++v) {
    const double p = std::exp((static_cast<double>(logits(v)) - max) / temperature);  // of max p
    all += p;
    if (p < share) {
      logits(v) = -INFINITY;
    } else {
      kept += p;
    }
  }
  return kept / all;
}

}  // namespace paligemma
