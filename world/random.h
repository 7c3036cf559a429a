// Random: a stream of numbers under a seed, for drawing worlds. Philox gives the same ones on every
// machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>

#include "tensor/philox.h"

namespace paligemma::world {

class Random {
 public:
  explicit Random(std::uint64_t seed) : seed_(seed) {}

  double uniform() { return philox_uniform(seed_, step_++); }  // [0, 1)
  double between(double low, double high) { return low + (high - low) * uniform(); }
  bool chance(double probability) { return uniform() < probability; }

  int below(int n) { return static_cast<int>(uniform() * n); }  // 0 ... n - 1

  // An index with the probability of its weight among all weights.
  int weighted(std::initializer_list<double> weights) {
    double sum = 0;
    for (const double weight : weights) sum += weight;
    double at = uniform() * sum;
    int index = 0;
    for (const double weight : weights) {
      if (at < weight) return index;
      at -= weight;
      ++index;
    }
    return index - 1;
  }

  template <class T>
  const T& one_of(std::span<const T> things) {
    return things[static_cast<std::size_t>(below(static_cast<int>(things.size())))];
  }

 private:
  std::uint64_t seed_, step_ = 0;
};

}  // namespace paligemma::world
