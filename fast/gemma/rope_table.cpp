#include "fast/gemma/rope_table.h"

#include <algorithm>
#include <cmath>

namespace paligemma {

RopeTable::RopeTable(float theta, Index H) : half_(H / 2) {
  for (Index j = 0; j < half_; ++j) {
    const double exponent = -2.0 * static_cast<double>(j) / static_cast<double>(H);
    frequency_.push_back(static_cast<float>(std::pow(static_cast<double>(theta), exponent)));
  }
}

void RopeTable::extend(Index positions) {
  if (positions <= positions_) return;
  positions = std::max(positions, 2 * positions_);
  cos_.reserve(static_cast<std::size_t>(positions * half_));
  sin_.reserve(static_cast<std::size_t>(positions * half_));
  for (; positions_ < positions; ++positions_) {
    for (const float frequency : frequency_) {
      const float angle = static_cast<float>(positions_) * frequency;
      cos_.push_back(std::cos(angle));
      sin_.push_back(std::sin(angle));
    }
  }
}

}  // namespace paligemma
