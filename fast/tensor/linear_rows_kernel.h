// Linear layers of a few tokens, for whatever instruction set the including file is compiled for: each weight is
// read from memory once, as part of a stream (docs/fast.md, "One row: streams").
#pragma once

#include <type_traits>

#include "fast/core/parallel.h"
#include "fast/core/products.h"
#include "fast/tensor/linear_epilogue.h"
#include "fast/tensor/linear_work.h"
#include "fast/tensor/lora_kernel.h"

namespace paligemma {
namespace {

// How many tokens' sums of some rows of weights fit into the registers. More of them are groups of almost equal
// size, and a token stands in the same group for all of a product.
constexpr Index kTogether = 6;

struct TokenGroups {
  Index T;

  Index count() const { return (T + kTogether - 1) / kTogether; }
  Index begin(Index group) const { return group * T / count(); }
  Index size(Index group) const { return begin(group + 1) - begin(group); }
};

// Rows of x for row_dots: those of a group lie together, kLanes numbers of each token in turn, and zeros up to
// whole registers. 16-bit weights are widened by units of two neighbours: the lower halves give one register, the
// upper halves the next. So of each 2 kLanes numbers the even ones come first, then the odd ones.
//
//   to  [padded(I) / kLanes, Tokens, kLanes]
inline Index padded(Index I) { return (I + kLanes - 1) / kLanes * kLanes; }

inline void arrange(const float* x, Index Tokens, Index I, bool by_pairs, float* to) {
  const Index pairs = by_pairs ? I / (2 * kLanes) * (2 * kLanes) : 0;
  for (Index t = 0; t < Tokens; ++t) {
    const float* const row = x + t * I;
    const auto at = [&](Index i) -> float& {
      return to[(i / kLanes * Tokens + t) * kLanes + i % kLanes];
    };
    Index i = 0;
    for (; i < pairs; i += 2 * kLanes) {
      float *const evens = &at(i), *const odds = &at(i + kLanes);
      for (int k = 0; k < kLanes; ++k) {
        evens[k] = row[i + 2 * k];
        odds[k] = row[i + 2 * k + 1];
      }
    }
    for (; i < padded(I); ++i) at(i) = i < I ? row[i] : 0.0f;
  }
}

// Weights i to i + 2 kLanes - 1 of a row: the first kLanes in the order of x, or the second.
template <bool Second, class Weight>
inline Lanes half_of(const Weight* w) {
  if constexpr (sizeof(Weight) == 4) {
    return load<Lanes>(w + (Second ? kLanes : 0));
  } else {
    const Units pairs = load<Units>(w);
    return Second ? upper(pairs, Weight{}) : lower(pairs, Weight{});
  }
}

constexpr Index kFirstCache = 24 * 1024;  // bytes of x that stay in a first cache of 32 KiB

// Whether weights are prefetched here. If x is too long for the first cache, reading it from the second hides the
// streams of weights from the processor's prefetcher; of processors with tile registers it needs help always.
template <int Tokens>
inline bool fetches_by_hand(Index I) {
  return kHasTiles || Tokens > 1 || I * Index{sizeof(float)} > kFirstCache;
}

// The inner products of a group of `Tokens` with `Rows` rows of weights that lie `apart` from one another. One token
// has two sums, so that an addition need not wait for the one before; of several, one sum is enough.
template <int Rows, int Tokens, class Weight>
inline void row_dots(const float* x, const Weight* weight, Index apart, Index I,
                     float (*dots)[Rows]) {
  constexpr int kSums = Tokens == 1 ? 2 : 1;
  const bool by_hand = fetches_by_hand<Tokens>(I);
  Lanes sum[Tokens][Rows][kSums] = {};
  Index i = 0;
  const auto add = [&]<bool Second>(std::bool_constant<Second>) {
    Lanes w[Rows];
    for (int r = 0; r < Rows; ++r) w[r] = half_of<Second>(weight + r * apart + i);
    for (int t = 0; t < Tokens; ++t) {
      const Lanes numbers = load<Lanes>(x + (i + (Second ? kLanes : 0)) * Tokens + t * kLanes);
      for (int r = 0; r < Rows; ++r) sum[t][r][Second ? kSums - 1 : 0] += numbers * w[r];
    }
  };
  for (; i + 2 * kLanes <= I; i += 2 * kLanes) {
    for (int r = 0; by_hand && r < Rows; ++r) fetch_ahead(weight + r * apart + i);
    add(std::false_type());
    add(std::true_type());
  }
  for (int t = 0; t < Tokens; ++t) {
    for (int r = 0; r < Rows; ++r) {
      dots[t][r] = sum_of(kSums == 2 ? sum[t][r][0] + sum[t][r][1] : sum[t][r][0]);
      for (Index rest = i; rest < I; ++rest) {
        dots[t][r] += x[(rest / kLanes * Tokens + t) * kLanes + rest % kLanes] *
                      widen(weight[r * apart + rest]);
      }
    }
  }
}

// Memory is busiest with four streams of many rows, each row behind the one before (docs/fast.md has what was
// tried). The number of rows is odd: with 64, all streams would be at the same offset of a page, and of a
// cache.
constexpr Index kStreams = 4, kLongestStream = 255;

// dots[t, o] = x[t] . weight[o] of a group of `Tokens`, and rows `begin` to `end` of each stream. Registers hold the
// sums of four streams for up to three tokens, else of two; AVX-512's those of four.
template <int Tokens, class X, class Weight>
inline void block_dots(const X* x, const Weight* weight, Index length, Index apart, Index begin,
                       Index end, float* dots, Index stride) {
  constexpr int kRows = kLanes == 16 || Tokens <= 3 ? kStreams : kStreams / 2;
  for (Index o = begin; o < end; ++o) {
    for (Index r = 0; r < kStreams; r += kRows) {
      const Index row = o + r * apart;
      float some[Tokens][kRows];
      row_dots<kRows, Tokens>(x, weight + row * length, apart * length, length, some);
      for (Index t = 0; t < Tokens; ++t) {
        for (Index k = 0; k < kRows; ++k) dots[t * stride + row + k * apart] = some[t][k];
      }
    }
  }
}

// Calls `run` with the number of a group's tokens as a constant.
template <int Tokens = 1, class Run>
inline void with_tokens(Index tokens, const Run& run) {
  if (tokens == Tokens) return run(std::integral_constant<int, Tokens>());
  if constexpr (Tokens < kTogether) with_tokens<Tokens + 1>(tokens, run);
}

// Of several groups the first one reads a block of weights from memory, the others from the second cache.
constexpr Index kBlockBytes = 128 * 1024;

// The same of all groups, whose tokens are x_length elements of x each, and of all rows.
template <class X, class Weight>
inline void many_row_dots(const X* x, Index x_length, TokenGroups groups, const Weight* weight,
                          Index length, Index rows, float* dots, Index stride) {
  const Index apart = rows / kStreams,
              fit = kBlockBytes / (kStreams * (length + 1) * Index{sizeof *weight}),
              block = fit > 0 ? fit : 1;
  const auto of_group = [&](Index g, const auto& run) {
    const Index t = groups.begin(g);
    with_tokens(groups.size(g),
                [&](auto tokens) { run(tokens, x + t * x_length, dots + t * stride); });
  };
  for (Index begin = 0; begin < apart; begin += block) {
    const Index end = begin + block < apart ? begin + block : apart;
    for (Index g = 0; g < groups.count(); ++g) {
      of_group(g, [&]<int Tokens>(std::integral_constant<int, Tokens>, const X* from, float* to) {
        block_dots<Tokens>(from, weight, length, apart, begin, end, to, stride);
      });
    }
  }
  for (Index g = 0; g < groups.count(); ++g) {
    of_group(g, [&]<int Tokens>(std::integral_constant<int, Tokens>, const X* from, float* to) {
      for (Index o = apart * kStreams; o < rows; ++o) {
        float one[Tokens][1];
        row_dots<1, Tokens>(from, weight + o * length, 0, length, one);
        for (Index t = 0; t < Tokens; ++t) to[t * stride + o] = one[t][0];
      }
    });
  }
}

template <class X, class Weight>
void by_rows(const Fast& on, const LinearWork<Weight>& w, const X* x, Index x_length,
             Index length) {
  const Index share = w.O / (4 * kStreams * on.threads());  // four turns for each thread
  const Index at_a_time = kStreams * ((share < kLongestStream ? share : kLongestStream) | 1);
  const Index times = (w.O + at_a_time - 1) / at_a_time;
  for_each(on, times, w.T * w.O * w.I > kWorthAThread, [&](Index i, int thread) {
    const Index o = i * at_a_time;
    const Index rows = w.O - o < at_a_time ? w.O - o : at_a_time, gates = at_a_time + kLanes;
    const auto products = [&](const Weight* weight, const Remainder& remainder, float* y,
                              Index stride) {
      many_row_dots(x, x_length, TokenGroups{w.T}, weight + o * length, length, rows, y, stride);
      make_rows_whole(remainder, w.O, w.T, o, rows, y, stride);
    };
    products(w.weight, w.remainder, w.y + o, w.y_stride);
    if (w.gate == nullptr && !w.gelu) return;
    float* gate = nullptr;
    if (w.gate != nullptr) {
      gate = static_cast<float*>(on.scratch(thread, Scratch::strip,
                                            sizeof(float) * static_cast<std::size_t>(w.T * gates)));
      products(w.gate, w.gate_remainder, gate, gates);
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
