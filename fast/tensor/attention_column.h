// Where there are many queries, attention works on a column of them: lanes are queries. What a column sees, its
// softmax, and how its results reach the memory; its two products are left to the kernels.
#pragma once

#include "fast/core/tiles.h"
#include "fast/tensor/shared_head.h"

namespace paligemma {
namespace {

// kColumns queries from `first` on, of which `queries` exist, and the keys that any of them sees and that all see.
struct Column {
  const SharedHead& head;
  Index first;
  int queries;
  KeyRange keys, seen_by_all;
  Ints begin[kColumnRegisters] = {}, end[kColumnRegisters] = {};  // of each query

  Column(const SharedHead& of, Index first_query)
      : head(of),
        first(first_query),
        queries(static_cast<int>(of.count() - first < kColumns ? of.count() - first : kColumns)),
        keys(of.visible(first)),
        seen_by_all(keys) {
    for (int j = 0; j < queries; ++j) {
      const KeyRange seen = head.visible(first + j);
      keys.begin = seen.begin < keys.begin ? seen.begin : keys.begin;
      keys.end = seen.end > keys.end ? seen.end : keys.end;
      seen_by_all.begin = seen.begin > seen_by_all.begin ? seen.begin : seen_by_all.begin;
      seen_by_all.end = seen.end < seen_by_all.end ? seen.end : seen_by_all.end;
      begin[j / kLanes][j % kLanes] = static_cast<std::int32_t>(seen.begin);
      end[j / kLanes][j % kLanes] = static_cast<std::int32_t>(seen.end);
    }
  }
  // x where a query sees the key, else `hidden`.
  Lanes seen(int v, Index key, Lanes x, Lanes hidden) const {
    if (key >= seen_by_all.begin && key < seen_by_all.end) return x;
    const Ints s = static_cast<std::int32_t>(key) - Ints{};
    return ((s >= begin[v]) & (s < end[v])) ? x : hidden;
  }
};

// p [keys.begin .. keys.end, kColumns] of products become weights that have yet to be multiplied by `share`.
inline void weigh(const Column& column, float* p, Lanes (&share)[kColumnRegisters]) {
  const AttentionWork& w = column.head.w;
  const Index S = column.keys.end - column.keys.begin;
  const BiasColumn bias(column.head, column.first, column.queries);
  for (int v = 0; v < kColumnRegisters; ++v) {
    float* const at = p + v * kLanes;
    Lanes max = broadcast(-INFINITY);
    for (Index s = 0; s < S; ++s) {
      Lanes score = scaled(load<Lanes>(at + s * kColumns), w.rule);
      if (w.bias.any()) score += bias.of(v, column.keys.begin + s);
      store(at + s * kColumns, score);
      max = column.seen(v, column.keys.begin + s, larger(max, score), max);
    }
    Lanes sum = {};
    for (Index s = 0; s < S; ++s) {
      const Lanes weight =
          column.seen(v, column.keys.begin + s, exp(load<Lanes>(at + s * kColumns) - max), Lanes{});
      store(at + s * kColumns, weight);
      sum += weight;
    }
    share[v] = 1.0f / sum;
    for (int j = v * kLanes; j < (v + 1) * kLanes && j < column.queries; ++j) {
      const Index row = column.head.row(column.first + j);
      if (w.log_sum_exp != nullptr) {
        w.log_sum_exp[row] = max[j % kLanes] + __builtin_logf(sum[j % kLanes]);
      }
      for (Index s = 0; w.weights != nullptr && s < S && column.keys.begin + s < w.S; ++s) {
        w.weights[row * w.S + column.keys.begin + s] = p[s * kColumns + j] * share[v][j % kLanes];
      }
    }
  }
}

// mixed [H, kColumns], times `share`, to where each query's result belongs.
inline void put_column(const Column& column, const float* mixed,
                       const Lanes (&share)[kColumnRegisters]) {
  const Index H = column.head.w.H;
  float* out[kColumns];
  for (int j = 0; j < column.queries; ++j) out[j] = column.head.out(column.first + j);
  for (int lane = 0; lane < column.queries; lane += kLanes) {
    for (Index h = 0; h < H; h += kLanes) {
      Units square[kLanes];
      for (int i = 0; i < kLanes; ++i) {
        square[i] =
            bits_as<Units>(load<Lanes>(mixed + (h + i) * kColumns + lane) * share[lane / kLanes]);
      }
      transpose(square);
      for (int j = 0; j < kLanes && lane + j < column.queries; ++j) {
        store_some(out[lane + j] + h, square[j], H - h);
      }
    }
  }
}

}  // namespace
}  // namespace paligemma
