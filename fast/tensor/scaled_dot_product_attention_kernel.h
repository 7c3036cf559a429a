// Attention, for whatever instruction set the including file is compiled for.
#pragma once

#include "fast/core/math.h"
#include "fast/core/parallel.h"
#include "fast/core/tiles.h"
#include "fast/tensor/shared_head.h"

namespace paligemma {
namespace {

// ---- many queries: lanes are queries ---------------------------------------------------------------

// The values of a head, so that a tile of kTileRows numbers of it reads them one after the other:
// [H / kTileRows][S][kTileRows], the last tile filled with zeros.
inline Index packed_size(Index S, Index H) {
  return (H + kTileRows - 1) / kTileRows * kTileRows * S;
}
inline void pack_values(const SharedHead& head, Index s, float* packed) {
  const AttentionWork& w = head.w;
  const float* const v = head.v(s);
  for (Index h = 0; h < w.H; h += kTileRows) {
    float* const to = packed + h * w.S + s * kTileRows;
    for (int r = 0; r < kTileRows; ++r) to[r] = h + r < w.H ? v[h + r] : 0.0f;
  }
}

constexpr Index kKeysAtATime = 32;  // whose values a thread packs

struct Column {
  float* p;             // [S, kColumns]   scores, then weights
  std::uint32_t* q;     // [H, kColumns]
  float* mixed;         // [H, kColumns]
  const float* values;  // packed
};

// Keys `all.begin .. all.end - 1` for kColumns queries from `first` on.
void attend_column(const SharedHead& head, Index first, int queries, Column c) {
  const AttentionWork& w = head.w;
  KeyRange all = head.visible(first);
  LanesOf<std::int32_t> begin[kColumnRegisters] = {}, end[kColumnRegisters] = {};
  for (int j = 0; j < queries; ++j) {
    const KeyRange keys = head.visible(first + j);
    all.begin = keys.begin < all.begin ? keys.begin : all.begin;
    all.end = keys.end > all.end ? keys.end : all.end;
    begin[j / kLanes][j % kLanes] = static_cast<std::int32_t>(keys.begin);
    end[j / kLanes][j % kLanes] = static_cast<std::int32_t>(keys.end);
  }
  const Index S = all.end - all.begin, H = w.H;
  const BiasColumn bias(head, first, queries);

  pack_panel<FloatProduct>([&](int j) { return head.q(first + j); }, queries, H, kColumnRegisters,
                           c.q);
  const auto* const k = reinterpret_cast<const std::uint32_t*>(head.k(all.begin));
  for_tiles(S, [&]<int Rows>(Index s) {
    Lanes sum[Rows][kColumnRegisters] = {};
    multiply_tile<FloatProduct>(k + s * w.k_token, w.k_token, 1, c.q, H, sum);
    for (int r = 0; r < Rows; ++r) {
      for (int v = 0; v < kColumnRegisters; ++v) {
        Lanes score = scaled(sum[r][v], w.rule);
        if (w.bias.any()) score += bias.of(v, all.begin + s + r);
        store(c.p + (s + r) * kColumns + v * kLanes, score);
      }
    }
  });

  Lanes share[kColumnRegisters];
  for (int v = 0; v < kColumnRegisters; ++v) {
    float* const p = c.p + v * kLanes;
    const auto seen = [&](Index s) {
      const auto key = static_cast<std::int32_t>(all.begin + s) - Ints{};
      return (key >= begin[v]) & (key < end[v]);
    };
    Lanes max = broadcast(-INFINITY);
    for (Index s = 0; s < S; ++s) {
      const Lanes score = load<Lanes>(p + s * kColumns);
      max = seen(s) ? larger(max, score) : max;
    }
    Lanes sum = {};
    for (Index s = 0; s < S; ++s) {
      const Lanes weight = exp(load<Lanes>(p + s * kColumns) - max);
      store(p + s * kColumns, seen(s) ? weight : Lanes{});
      sum += seen(s) ? weight : Lanes{};
    }
    share[v] = 1.0f / sum;
    for (int j = v * kLanes; j < (v + 1) * kLanes && j < queries; ++j) {
      const Index at = head.row(first + j);
      if (w.log_sum_exp != nullptr)
        w.log_sum_exp[at] = max[j % kLanes] + __builtin_logf(sum[j % kLanes]);
      for (Index s = 0; w.weights != nullptr && s < S; ++s) {
        w.weights[at * w.S + all.begin + s] = c.p[s * kColumns + j] * share[v][j % kLanes];
      }
    }
  }

  for (Index h = 0; h < H; h += kTileRows) {
    Lanes sum[kTileRows][kColumnRegisters] = {};
    multiply_tile<FloatProduct>(
        reinterpret_cast<const std::uint32_t*>(c.values + h * w.S + all.begin * kTileRows), 1,
        kTileRows, reinterpret_cast<const std::uint32_t*>(c.p), S, sum);
    for (int r = 0; r < kTileRows; ++r) {
      for (int v = 0; v < kColumnRegisters; ++v) {
        store(c.mixed + (h + r) * kColumns + v * kLanes, sum[r][v] * share[v]);
      }
    }
  }

  for (int lane = 0; lane < queries; lane += kLanes) {
    for (Index h = 0; h < H; h += kLanes) {
      Units square[kLanes];
      for (int i = 0; i < kLanes; ++i) square[i] = load<Units>(c.mixed + (h + i) * kColumns + lane);
      transpose(square);
      const auto bytes = static_cast<std::size_t>(H - h < kLanes ? H - h : kLanes) * sizeof(float);
      for (int j = 0; j < kLanes && lane + j < queries; ++j) {
        std::memcpy(head.out(first + lane + j) + h, &square[j], bytes);
      }
    }
  }
}

void attend_many(const Fast& on, const AttentionWork& w, bool worth) {
  const Index queries = w.T * (w.N / w.K), columns = (queries + kColumns - 1) / kColumns;
  const auto floats = static_cast<std::size_t>((w.S + 2 * (w.H + kLanes)) * kColumns);
  const Index packed = packed_size(w.S, w.H);
  auto* const values = static_cast<float*>(
      on.scratch(0, Scratch::rows, static_cast<std::size_t>(w.K * packed) * sizeof(float)));
  for_each(
      on, w.K * w.S, worth,
      [&](Index i, int) {
        pack_values(SharedHead{w, i / w.S}, i % w.S, values + i / w.S * packed);
      },
      kKeysAtATime);
  for_each(on, w.K * columns, worth, [&](Index i, int thread) {
    auto* const p = static_cast<float*>(on.scratch(thread, Scratch::panel, floats * sizeof(float)));
    float* const mixed = p + w.S * kColumns;
    auto* const q = reinterpret_cast<std::uint32_t*>(mixed + (w.H + kLanes) * kColumns);
    const Index g = i / columns, first = i % columns * kColumns, rest = queries - first;
    attend_column(SharedHead{w, g}, first, static_cast<int>(rest < kColumns ? rest : kColumns),
                  {p, q, mixed, values + g * packed});
  });
}

// ---- a few queries --------------------------------------------------------------------------------

// Threads share the keys, and then the numbers of the values, so that each is read from memory once.

// Scores [queries, row] of the keys s to s + kLanes - 1; -infinity for what a query does not see.
void score_keys(const SharedHead& head, Index s, float* scores, Index row) {
  const AttentionWork& w = head.w;
  const float* k[kLanes];
  for (int i = 0; i < kLanes; ++i) k[i] = head.k(s + i < w.S ? s + i : w.S - 1);
  for (Index query = 0; query < head.count(); ++query) {
    const KeyRange keys = head.visible(query);
    Lanes score = broadcast(-INFINITY);
    if (s < keys.end && keys.begin < s + kLanes) {
      const float* const q = head.q(query);
      Lanes sum[kLanes] = {};
      Index h = 0;
      for (; h + kLanes <= w.H; h += kLanes) {
        const Lanes numbers = load<Lanes>(q + h);
        for (int i = 0; i < kLanes; ++i) sum[i] += numbers * load<Lanes>(k[i] + h);
      }
      score = sums_of(sum);
      for (; h < w.H; ++h) {
        for (int i = 0; i < kLanes; ++i) score[i] += q[h] * k[i][h];
      }
      score = scaled(score, w.rule);
      for (int i = 0; w.bias.any() && i < kLanes; ++i) score[i] += head.bias(query, s + i);
      for (int i = 0; i < kLanes; ++i) {
        if (s + i < keys.begin || s + i >= keys.end) score[i] = -INFINITY;
      }
    }
    store(scores + query * row + s, score);
  }
}

// Weights, which add up to 1, of `row` scores; returns the logarithm of what they were divided by.
float softmax(float* p, Index row) {
  Lanes largest = broadcast(-INFINITY);
  for (Index s = 0; s < row; s += kLanes) largest = larger(largest, load<Lanes>(p + s));
  const float max = max_of(largest);
  Lanes sums = {};
  for (Index s = 0; s < row; s += kLanes) {
    const Lanes weight = exp(load<Lanes>(p + s) - max);
    store(p + s, weight);
    sums += weight;
  }
  const float sum = sum_of(sums), share = 1.0f / sum;
  for (Index s = 0; s < row; s += kLanes) store(p + s, load<Lanes>(p + s) * share);
  return max + __builtin_logf(sum);
}

constexpr int kMixed = 4;  // registers of numbers at a time

// Numbers h to h + kMixed * kLanes - 1 of what comes out, of H.
void mix_values(const SharedHead& head, Index h, const float* weights, Index row) {
  const AttentionWork& w = head.w;
  for (Index query = 0; query < head.count(); ++query) {
    const KeyRange keys = head.visible(query);
    const float* const p = weights + query * row;
    float* const out = head.out(query);
    if (h + kMixed * kLanes <= w.H) {
      Lanes sum[kMixed] = {};
      for (Index s = keys.begin; s < keys.end; ++s) {
        const float* const v = head.v(s) + h;
        for (int i = 0; i < kMixed; ++i) sum[i] += p[s] * load<Lanes>(v + i * kLanes);
      }
      for (int i = 0; i < kMixed; ++i) store(out + h + i * kLanes, sum[i]);
      continue;
    }
    for (Index rest = h; rest < w.H; ++rest) {
      float sum = 0;
      for (Index s = keys.begin; s < keys.end; ++s) sum += p[s] * head.v(s)[rest];
      out[rest] = sum;
    }
  }
}

void attend_few(const Fast& on, const AttentionWork& w, bool worth) {
  const Index queries = w.T * (w.N / w.K), row = (w.S + kLanes - 1) / kLanes * kLanes;
  auto* const p = static_cast<float*>(
      on.scratch(0, Scratch::rows, static_cast<std::size_t>(w.K * queries * row) * sizeof(float)));
  const Index stretches = row / kLanes, parts = (w.H + kMixed * kLanes - 1) / (kMixed * kLanes);
  for_each(on, w.K * stretches, worth, [&](Index i, int) {
    const Index g = i / stretches;
    score_keys(SharedHead{w, g}, i % stretches * kLanes, p + g * queries * row, row);
  });
  for_each(on, w.K * queries, worth, [&](Index i, int) {
    float* const weights = p + i * row;
    const float log_sum_exp = softmax(weights, row);
    const Index at = SharedHead{w, i / queries}.row(i % queries);
    if (w.weights != nullptr) {
      std::memcpy(w.weights + at * w.S, weights, static_cast<std::size_t>(w.S) * sizeof(float));
    }
    if (w.log_sum_exp != nullptr) w.log_sum_exp[at] = log_sum_exp;
  });
  for_each(on, w.K * parts, worth, [&](Index i, int) {
    const Index g = i / parts;
    mix_values(SharedHead{w, g}, i % parts * kMixed * kLanes, p + g * queries * row, row);
  });
}

void attend(const Fast& on, const AttentionWork& w) {
  const bool worth = w.T * w.N * w.H * w.S > kWorthAThread;
  if (w.T * (w.N / w.K) <= kLanes) return attend_few(on, w, worth);
  attend_many(on, w, worth);
}

}  // namespace
}  // namespace paligemma
