// GELU and its slope, for whatever instruction set the including file is compiled for.
#pragma once

#include "fast/core/math.h"
#include "fast/core/parallel.h"
#include "fast/tensor/gelu_work.h"

namespace paligemma {
namespace {

inline constexpr Index kGeluStretch = 2048;  // numbers that a thread takes at a time

// Calls f(i, kLanes) for whole registers of numbers from i on, and f(i, their count) for the rest behind them.
template <class Function>
inline void for_stretches(const Fast& on, Index count, const Function& f) {
  for_each(on, (count + kGeluStretch - 1) / kGeluStretch, count > 2 * kGeluStretch,
           [&](Index stretch, int) {
             const Index begin = stretch * kGeluStretch,
                         end = begin + kGeluStretch < count ? begin + kGeluStretch : count;
             for (Index i = begin; i < end; i += kLanes) f(i, end - i < kLanes ? end - i : kLanes);
           });
}

void gelu_numbers(const Fast& on, const GeluWork& w) {
  for_stretches(on, w.count, [&](Index i, Index some) {
    Lanes y = gelu_tanh(load_lanes(w.x + i, some));
    if (w.up != nullptr) y = y * load_lanes(w.up + i, some);
    store_some(w.y + i, bits_as<Units>(y), some);
  });
}

void gelu_slopes(const Fast& on, const GeluBackwardWork& w) {
  for_stretches(on, w.count, [&](Index i, Index some) {
    const Lanes x = load_lanes(w.x + i, some), dy = load_lanes(w.dy + i, some);
    const Lanes share = gelu_share(x);
    Lanes slope = gelu_slope_of(x, share) * dy;
    if (w.up != nullptr) {
      slope = slope * load_lanes(w.up + i, some);
      store_some(w.dup + i, bits_as<Units>(x * share * dy), some);
    }
    store_some(w.dx + i, bits_as<Units>(slope), some);
  });
}

}  // namespace
}  // namespace paligemma
