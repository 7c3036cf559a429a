// What makes the sums of a layer whole, for whatever instruction set the including file is compiled for: the bias and
// what an adapter adds, in registers. A panel's sums are made whole a tile at a time, a row's where it lies.
#pragma once

#include "fast/core/parallel.h"
#include "fast/core/tiles.h"
#include "fast/tensor/lora_work.h"

namespace paligemma {
namespace {

// That of tokens t, t + 1, ...
inline Remainder rest_of(const Remainder& w, Index t) {
  Remainder rest = w;
  if (w.low != nullptr) rest.low += t * w.rank;
  return rest;
}

// The remainder of a panel's outputs o, o + 1, ...; zeros behind the last one.
class PanelRemainder {
 public:
  PanelRemainder(const Fast& on, int thread, const Remainder& all, Index O, Index o, int outputs)
      : all_(all) {
    const auto copy = [&](const float* from, float* to) {
      for (int k = 0; k < kPanel; ++k) to[k] = k < outputs ? from[o + k] : 0.0f;
    };
    if (all.bias != nullptr) copy(all.bias, bias_);
    if (all.magnitude != nullptr) copy(all.magnitude, magnitude_);
    if (all.low == nullptr) return;
    b_ = static_cast<float*>(on.scratch(
        thread, Scratch::adapter, sizeof(float) * static_cast<std::size_t>(all.rank * kPanel)));
    for (Index k = 0; k < all.rank; ++k) copy(all.b + k * O, b_ + k * kPanel);
  }

  // Of tokens t, t + 1, ...
  template <int Rows>
  void make_whole(Index t, Lanes (&sum)[Rows][kTileRegisters]) const {
    for (int v = 0; v < kTileRegisters; ++v) {
      const Lanes bias = load<Lanes>(bias_ + v * kLanes);
      for (int r = 0; r < Rows; ++r) {
        if (all_.magnitude != nullptr) sum[r][v] *= load<Lanes>(magnitude_ + v * kLanes);
        sum[r][v] += bias;
      }
    }
    if (all_.low == nullptr) return;
    multiply_tile<FloatProduct>(units(all_.low + t * all_.rank), all_.rank, 1, units(b_), all_.rank,
                                sum);
  }

 private:
  static const std::uint32_t* units(const float* p) {
    return reinterpret_cast<const std::uint32_t*>(p);
  }

  Remainder all_;
  float bias_[kPanel] = {}, magnitude_[kPanel] = {};
  float* b_ = nullptr;  // [rank, kPanel]
};

// Sums o, o + 1, ... of token t in a row of y. Count is 0 for one number, which fills a register.
template <int Count>
inline void make_some_whole(const Remainder& w, Index O, Index t, Index o, float* y) {
  constexpr int kRegisters = Count > 0 ? Count : 1;
  const auto at = [](const float* numbers, int v) {
    if constexpr (Count == 0) return broadcast(*numbers);
    return load<Lanes>(numbers + v * kLanes);
  };
  Lanes sum[kRegisters];
  for (int v = 0; v < kRegisters; ++v) {
    sum[v] = at(y, v);
    if (w.magnitude != nullptr) sum[v] *= at(w.magnitude + o, v);
    if (w.bias != nullptr) sum[v] += at(w.bias + o, v);
  }
  for (Index k = 0; w.low != nullptr && k < w.rank; ++k) {
    const Lanes low = broadcast(w.low[t * w.rank + k]);
    for (int v = 0; v < kRegisters; ++v) sum[v] += low * at(w.b + k * O + o, v);
  }
  for (int v = 0; v < kRegisters; ++v) {
    if constexpr (Count == 0) {
      *y = sum[0][0];
    } else {
      store(y + v * kLanes, sum[v]);
    }
  }
}

// Sums o to o + count - 1 of tokens 0 to T - 1, whose rows in y lie `stride` apart. Four registers at once, so that a
// number of low is broadcast for several.
inline void make_rows_whole(const Remainder& w, Index O, Index T, Index o, Index count, float* y,
                            Index stride) {
  if (w.bias == nullptr && w.magnitude == nullptr && w.low == nullptr) return;
  constexpr int kAtOnce = 4;
  for (Index t = 0; t < T; ++t) {
    float* const row = y + t * stride;
    Index k = 0;
    for (; k + kAtOnce * kLanes <= count; k += kAtOnce * kLanes) {
      make_some_whole<kAtOnce>(w, O, t, o + k, row + k);
    }
    for (; k < count; ++k) make_some_whole<0>(w, O, t, o + k, row + k);
  }
}

// A block of outputs for all tokens, so that its part of b stays in the first cache.
inline void make_whole(const Fast& on, const RemainderWork& w) {
  constexpr Index kAtOnce = 4 * kLanes;
  const Index blocks = (w.O + kAtOnce - 1) / kAtOnce;
  for_each(
      on, blocks, w.T * w.O * (w.remainder.rank + 1) > kWorthAThread,
      [&](Index block, int) {
        const Index o = block * kAtOnce;
        make_rows_whole(w.remainder, w.O, w.T, o, kAtOnce < w.O - o ? kAtOnce : w.O - o, w.y + o,
                        w.y_stride);
      },
      even_share(on, blocks));
}

}  // namespace
}  // namespace paligemma
