#include "train/schedule.h"

#include <cmath>
#include <numbers>

namespace paligemma {

double Schedule::at(Index step) const {
  PG_CHECK(step >= 0 && warmup >= 0 && flat >= 0, "step " + std::to_string(step));
  if (step < warmup) return static_cast<double>(step) / static_cast<double>(warmup);
  const bool falls = decay == Decay::linear || decay == Decay::cosine;
  const Index begin = warmup + (falls ? flat : 0);
  if (step < begin) return 1;
  const auto since = static_cast<double>(step - begin), all = static_cast<double>(steps - begin);
  switch (decay) {
    case Decay::constant:
      return 1;
    case Decay::rsqrt:
      return 1 / std::sqrt(1 + since / timescale);
    case Decay::linear:
      return step >= steps ? 0 : 1 - since / all;
    case Decay::cosine:
      return step >= steps ? 0 : (1 + std::cos(std::numbers::pi * since / all)) / 2;
  }
  return 0;
}

}  // namespace paligemma
