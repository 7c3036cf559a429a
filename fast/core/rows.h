// Loops over the rows of activations, for pieces that are bound by memory: four lanes are enough.
#pragma once

#include "fast/core/lanes.h"
#include "fast/core/parallel.h"
#include "tensor/check.h"

namespace paligemma {
namespace {

// Calls f(t) for T rows of D numbers, with all threads if that is worth waking them.
template <class Function>
inline void for_each_row(const Fast& on, Index T, Index D, const Function& f) {
  constexpr Index kWorthAThread = 1 << 14;  // numbers
  for_each(
      on, T, T * D > kWorthAThread, [&](Index t, int) { f(t); }, even_share(on, T));
}

// Calls wide(d) for each whole register of a row, then single(d) for each number that is left.
template <class Wide, class Single>
inline void for_row(Index D, const Wide& wide, const Single& single) {
  Index d = 0;
  for (; d + kLanes <= D; d += kLanes) wide(d);
  for (; d < D; ++d) single(d);
}

// sum_d f(x[d]), f of lanes or of one number.
template <class Function>
inline float sum_over(const float* x, Index D, const Function& f) {
  Lanes sums[4] = {};
  Index d = 0;
  for (; d + 4 * kLanes <= D; d += 4 * kLanes) {
    for (int i = 0; i < 4; ++i) sums[i] += f(load<Lanes>(x + d + i * kLanes));
  }
  float sum = sum_of((sums[0] + sums[1]) + (sums[2] + sums[3]));
  for (; d < D; ++d) sum += f(x[d]);
  return sum;
}

}  // namespace
}  // namespace paligemma
