// Linear layers of a few tokens, for whatever instruction set the including file is compiled for: each weight is
// read from memory once, as part of a stream (docs/fast.md, "One row: streams").
#pragma once

#include <type_traits>

#include "fast/core/parallel.h"
#include "fast/tensor/linear_epilogue.h"
#include "fast/tensor/linear_work.h"

namespace paligemma {
namespace {

// 16-bit weights are widened by units of two neighbours: the lower halves give one register, the upper
// halves the next. So x is reordered to match: of each 2 kLanes numbers first the even ones, then the odd
// ones. Numbers behind the last whole group keep their places.
inline void part_evens_from_odds(const float* x, Index I, float* to) {
  Index i = 0;
  for (; i + 2 * kLanes <= I; i += 2 * kLanes) {
    for (int k = 0; k < kLanes; ++k) {
      to[i + k] = x[i + 2 * k];
      to[i + kLanes + k] = x[i + 2 * k + 1];
    }
  }
  for (; i < I; ++i) to[i] = x[i];
}

// Weights i to i + 2 kLanes - 1 of a row, in the order of x.
template <class Weight>
struct TwoRegisters {
  Lanes first, second;
  explicit TwoRegisters(const Weight* w) {
    if constexpr (sizeof(Weight) == 2) {
      const Units pairs = load<Units>(w);
      first = lower(pairs, Weight{});
      second = upper(pairs, Weight{});
    } else {
      first = load<Lanes>(w);
      second = load<Lanes>(w + kLanes);
    }
  }
};

constexpr Index kFirstCache = 24 * 1024;  // bytes of x that stay in a first cache of 32 KiB

// The inner products of `Tokens` rows of x, one behind the other, with `Rows` rows of weights that lie `apart` from
// one another. Each has two sums, so that an addition need not wait for the one before. If x is too long for the
// first cache, reading it from the second hides the streams of weights from the processor's prefetcher, so they
// are prefetched here.
template <int Rows, int Tokens, class Weight>
inline void row_dots(const float* x, const Weight* weight, Index apart, Index I,
                     float (*dots)[Rows]) {
  const bool by_hand = I * Index{sizeof *x} > kFirstCache;
  Lanes sum[Tokens][Rows][2] = {};
  Index i = 0;
  for (; i + 2 * kLanes <= I; i += 2 * kLanes) {
    Lanes x0[Tokens], x1[Tokens];
    for (int t = 0; t < Tokens; ++t) {
      x0[t] = load<Lanes>(x + t * I + i);
      x1[t] = load<Lanes>(x + t * I + i + kLanes);
    }
    for (int r = 0; r < Rows; ++r) {
      if (by_hand) fetch_ahead(weight + r * apart + i);
      const TwoRegisters<Weight> numbers(weight + r * apart + i);
      for (int t = 0; t < Tokens; ++t) {
        sum[t][r][0] += x0[t] * numbers.first;
        sum[t][r][1] += x1[t] * numbers.second;
      }
    }
  }
  for (int t = 0; t < Tokens; ++t) {
    for (int r = 0; r < Rows; ++r) {
      dots[t][r] = sum_of(sum[t][r][0] + sum[t][r][1]);
      for (Index rest = i; rest < I; ++rest)
        dots[t][r] += x[t * I + rest] * widen(weight[r * apart + rest]);
    }
  }
}

// Memory is busiest with four streams of many rows, each row behind the one before (docs/fast.md has what was
// tried). The number of rows is odd: with 64, all streams would be at the same offset of a page, and of a
// cache.
constexpr Index kStreams = 4, kLongestStream = 255;

// dots[t, o] = x[t] . weight[o] of `Tokens` tokens, and rows `begin` to `end` of each stream.
template <int Tokens, class X, class Weight>
inline void block_dots(const X* x, const Weight* weight, Index length, Index apart, Index begin,
                       Index end, float* dots, Index stride) {
  for (Index o = begin; o < end; ++o) {
    float some[Tokens][kStreams];
    row_dots<kStreams, Tokens>(x, weight + o * length, apart * length, length, some);
    for (Index t = 0; t < Tokens; ++t) {
      for (Index r = 0; r < kStreams; ++r) dots[t * stride + o + r * apart] = some[t][r];
    }
  }
}

// Sums of two or three tokens fit into the registers of AVX-512, of one into others.
constexpr Index kTogether = kLanes == 16 ? 3 : 1;

// Of more tokens the first ones read a block of weights from memory, the others from the second cache.
constexpr Index kBlockBytes = 128 * 1024;

// The same of T tokens and all rows; `length` elements have a row of either. The order of the sums of a token
// is the same beside any others.
template <class X, class Weight>
inline void many_row_dots(const X* x, Index T, const Weight* weight, Index length, Index rows,
                          float* dots, Index stride) {
  const Index apart = rows / kStreams,
              fit = kBlockBytes / (kStreams * (length + 1) * Index{sizeof *weight}),
              block = fit > 0 ? fit : 1;
  for (Index begin = 0; begin < apart; begin += block) {
    const Index end = begin + block < apart ? begin + block : apart;
    for (Index t = 0, taken = 0; t < T; t += taken) {
      const auto take = [&]<int Tokens>(std::integral_constant<int, Tokens>) {
        block_dots<Tokens>(x + t * length, weight, length, apart, begin, end, dots + t * stride,
                           stride);
        return Index{Tokens};
      };
      const Index left = T - t;
      if (kTogether == 3 && left >= 3 && left != 4) {  // 4 are 2 and 2
        taken = take(std::integral_constant<int, 3>());
      } else if (kTogether == 3 && left >= 2) {
        taken = take(std::integral_constant<int, 2>());
      } else {
        taken = take(std::integral_constant<int, 1>());
      }
    }
  }
  for (Index t = 0; t < T; ++t) {
    for (Index o = apart * kStreams; o < rows; ++o) {
      float one[1][1];
      row_dots<1, 1>(x + t * length, weight + o * length, 0, length, one);
      dots[t * stride + o] = one[0][0];
    }
  }
}

template <class X, class Weight>
void by_rows(const Fast& on, const LinearWork<Weight>& w, const X* x, Index length) {
  const Index share = w.O / (4 * kStreams * on.threads());  // four turns for each thread
  const Index at_a_time = kStreams * ((share < kLongestStream ? share : kLongestStream) | 1);
  const Index times = (w.O + at_a_time - 1) / at_a_time;
  for_each(on, times, w.T * w.O * w.I > kWorthAThread, [&](Index i, int thread) {
    const Index o = i * at_a_time;
    const Index rows = w.O - o < at_a_time ? w.O - o : at_a_time, gates = at_a_time + kLanes;
    const auto products = [&](const Weight* weight, const float* bias, float* y, Index stride) {
      many_row_dots(x, w.T, weight + o * length, length, rows, y, stride);
      for (Index t = 0; bias != nullptr && t < w.T; ++t) {
        for (Index k = 0; k < rows; ++k) y[t * stride + k] += bias[o + k];
      }
    };
    products(w.weight, w.bias, w.y + o, w.y_stride);
    if (w.gate == nullptr && !w.gelu) return;
    float* gate = nullptr;
    if (w.gate != nullptr) {
      gate = static_cast<float*>(on.scratch(thread, Scratch::strip,
                                            sizeof(float) * static_cast<std::size_t>(w.T * gates)));
      products(w.gate, w.gate_bias, gate, gates);
    }
    for (Index t = 0; t < w.T; ++t) {
      float* const y = w.y + o + t * w.y_stride;
      const auto gate_at = [&](Index k) {
        return gate != nullptr ? gate + t * gates + k : nullptr;
      };
      Index k = 0;
      for (; k + kLanes <= rows; k += kLanes) {
        store(y + k, finished(w.gelu, load<Lanes>(y + k), gate_at(k)));
      }
      for (; k < rows; ++k) y[k] = finished(w.gelu, broadcast(y[k]), gate_at(k))[0];
    }
  });
}

}  // namespace
}  // namespace paligemma
