// Adapters, for whatever instruction set the including file is compiled for: one pass over the sums of a layer, and
// of its gate, which ends them as well.
#pragma once

#include "fast/core/parallel.h"
#include "fast/tensor/linear_epilogue.h"
#include "fast/tensor/lora_work.h"

namespace paligemma {
namespace {

constexpr int kAdaptedRegisters = 4;  // of a row, so that a number of low is broadcast for several

// Sums o, o + 1, ... of token t. Count is 0 for one number, which fills a register.
template <int Count>
inline void adapt(const AdaptedSums& s, Index O, Index t, Index o,
                  Lanes (&sum)[Count > 0 ? Count : 1]) {
  const auto at = [](const float* numbers, Index i) {
    if constexpr (Count == 0) return broadcast(numbers[i]);
    return load<Lanes>(numbers + i);
  };
  const float* const row = s.sums + t * s.stride;
  for (int v = 0; v == 0 || v < Count; ++v) {
    sum[v] = at(row, o + v * kLanes);
    if (s.magnitude != nullptr) sum[v] *= at(s.magnitude, o + v * kLanes);
    if (s.bias != nullptr) sum[v] += at(s.bias, o + v * kLanes);
  }
  for (Index k = 0; s.low != nullptr && k < s.rank; ++k) {
    const Lanes low = broadcast(s.low[t * s.rank + k]);
    for (int v = 0; v == 0 || v < Count; ++v) sum[v] += low * at(s.b, k * O + o + v * kLanes);
  }
}

template <int Count>
inline void end_adapted(const AdaptedWork& w, Index t, Index o) {
  Lanes sum[Count > 0 ? Count : 1], gate[Count > 0 ? Count : 1];
  adapt<Count>(w.layer, w.O, t, o, sum);
  if (w.gate != nullptr) adapt<Count>(*w.gate, w.O, t, o, gate);
  float* const to = w.y + t * w.y_stride + o;
  for (int v = 0; v == 0 || v < Count; ++v) {
    const Lanes value = w.gate != nullptr ? bent(w.gelu, gate[v]) * sum[v] : bent(w.gelu, sum[v]);
    if constexpr (Count == 0) {
      *to = value[0];
    } else {
      store(to + v * kLanes, value);
    }
  }
}

// A block of outputs for all tokens, so that its part of b stays in the first cache.
inline void adapt_sums(const Fast& on, const AdaptedWork& w) {
  constexpr Index kAtOnce = kAdaptedRegisters * kLanes;
  const Index blocks = (w.O + kAtOnce - 1) / kAtOnce;
  for_each(
      on, blocks, w.T * w.O * (w.layer.rank + 1) > kWorthAThread,
      [&](Index block, int) {
        const Index begin = block * kAtOnce, end = begin + kAtOnce < w.O ? begin + kAtOnce : w.O;
        for (Index t = 0; t < w.T; ++t) {
          if (end - begin == kAtOnce) {
            end_adapted<kAdaptedRegisters>(w, t, begin);
            continue;
          }
          for (Index o = begin; o < end; ++o) end_adapted<0>(w, t, o);
        }
      },
      even_share(on, blocks));
}

}  // namespace
}  // namespace paligemma
