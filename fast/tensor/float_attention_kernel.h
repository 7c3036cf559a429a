// Attention of many queries by products of floats, column by column (fast/tensor/attention_column.h).
#pragma once

#include "fast/core/parallel.h"
#include "fast/core/tiles.h"
#include "fast/tensor/attention_column.h"

namespace paligemma {
namespace {

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

// Where a thread works on a column.
struct ColumnMemory {
  float* p;             // [S, kColumns]   scores, then weights
  std::uint32_t* q;     // [H, kColumns]
  float* mixed;         // [H, kColumns]
  const float* values;  // packed
};

void attend_column(const Column& column, ColumnMemory c) {
  const SharedHead& head = column.head;
  const AttentionWork& w = head.w;
  const Index begin = column.keys.begin, S = column.keys.end - begin, H = w.H;

  pack_panel<FloatProduct>([&](int j) { return head.q(column.first + j); }, column.queries, H,
                           kColumnRegisters, c.q);
  const auto* const k = reinterpret_cast<const std::uint32_t*>(head.k(begin));
  for_tiles(S, [&]<int Rows>(Index s) {
    Lanes sum[Rows][kColumnRegisters] = {};
    multiply_tile<FloatProduct>(k + s * w.k_token, w.k_token, 1, c.q, H, sum);
    for (int r = 0; r < Rows; ++r) {
      for (int v = 0; v < kColumnRegisters; ++v) {
        store(c.p + (s + r) * kColumns + v * kLanes, sum[r][v]);
      }
    }
  });

  Lanes share[kColumnRegisters];
  weigh(column, c.p, share);

  for (Index h = 0; h < H; h += kTileRows) {
    Lanes sum[kTileRows][kColumnRegisters] = {};
    multiply_tile<FloatProduct>(
        reinterpret_cast<const std::uint32_t*>(c.values + h * w.S + begin * kTileRows), 1,
        kTileRows, reinterpret_cast<const std::uint32_t*>(c.p), S, sum);
    for (int r = 0; r < kTileRows; ++r) {
      for (int v = 0; v < kColumnRegisters; ++v) {
        store(c.mixed + (h + r) * kColumns + v * kLanes, sum[r][v]);
      }
    }
  }
  put_column(column, c.mixed, share);
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
    const SharedHead head{w, i / columns};
    attend_column(Column(head, i % columns * kColumns), {p, q, mixed, values + head.g * packed});
  });
}

}  // namespace
}  // namespace paligemma
