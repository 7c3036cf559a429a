// Comparing rows of logits, and asking how sure they are.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

namespace paligemma::test {

// How far the largest number is ahead of the second.
inline float lead(const std::vector<float>& logits) {
  float first = -INFINITY, second = -INFINITY;
  for (float x : logits) {
    second = std::max(second, std::min(x, first));
    first = std::max(first, x);
  }
  return first - second;
}

// Infinite if a number is none.
inline double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return INFINITY;
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double difference = std::abs(static_cast<double>(a[i]) - b[i]);
    if (!(difference <= largest)) largest = std::isnan(difference) ? INFINITY : difference;
  }
  return largest;
}

inline double largest_magnitude(const std::vector<float>& numbers) {
  double largest = 0;
  for (float x : numbers) largest = std::max(largest, static_cast<double>(std::abs(x)));
  return largest;
}

}  // namespace paligemma::test
