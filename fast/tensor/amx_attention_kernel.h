// Attention of many queries by AMX's tile registers (docs/amx.md). A float is the sum of three bf16: the nearest
// one, the one nearest to what is left, and the rest. Of the nine products of two such sums those below the last
// digit of a float are left out, so nothing is rounded that floats would keep.
//
//   a b = a0 b0 + a0 b1 + a1 b0 + a0 b2 + a1 b1 + a2 b0
//
// Scores are keys by queries and results numbers by queries, so C lies in memory as a column has it
// (fast/tensor/attention_column.h).
#pragma once

#include "fast/core/amx.h"
#include "fast/core/parallel.h"
#include "fast/core/tiles.h"
#include "fast/tensor/attention_column.h"

namespace paligemma {
namespace {

constexpr Index kStep = Bf16Tiles::kFeatures;  // numbers of a head, or keys, of a step
constexpr Index kKeyPanel = 2 * kTile;         // keys, or numbers of a head, of a panel

// The nearest bf16, with ties away from zero.
inline Lanes nearest_bf16(Lanes x) {
  return bits_as<Lanes>((bits_as<Units>(x) + 0x8000u) & 0xffff'0000u);
}

constexpr Index kThirds = 3;
struct Parts {
  Units part[kThirds] = {};
};

// 32 floats as pairs of neighbours.
inline Parts split(Lanes a, Lanes b) {
  Parts parts;
  for (Units& part : parts.part) {
    const Lanes of_a = nearest_bf16(a), of_b = nearest_bf16(b);
    part = round_to_bf16(of_a, of_b);
    a -= of_a, b -= of_b;
  }
  return parts;
}
inline Parts split(const float* x, Index count) {  // of which `count` exist
  return split(load_lanes(x, count), load_lanes(x + kLanes, count - kLanes));
}

// Lane by lane, as pairs of one of each.
inline Parts split_pairs(Lanes even, Lanes odd) {
  Parts parts;
  for (Units& part : parts.part) {
    const Lanes of_even = nearest_bf16(even), of_odd = nearest_bf16(odd);
    part = bits_as<Units>(of_even) >> 16 | bits_as<Units>(of_odd);
    even -= of_even, odd -= of_odd;
  }
  return parts;
}

// [parts][rows or columns: 2][steps] of tiles.
struct SplitTiles {
  char* at;
  Index steps;

  void put(Index half, Index step, Index row, const Parts& parts) const {
    for (Index i = 0; i < kThirds; ++i) {
      store(at + ((2 * i + half) * steps + step) * kTileBytes + row * 64, parts.part[i]);
    }
  }
  Operand part(Index i, Index step = 0) const {
    return {at + (2 * i * steps + step) * kTileBytes, steps * kTileBytes};
  }
};
// Of so many steps, in both halves and all parts.
constexpr Index split_bytes(Index steps) { return kThirds * 2 * steps * kTileBytes; }

// The smallest products come first.
inline void multiply_split(const SplitTiles& a, Index first, const SplitTiles& b, Index steps,
                           const SumsAt& c) {
  zero_sums<2>();
  for (Index sum = kThirds - 1; sum >= 0; --sum) {
    for (Index i = 0; i <= sum; ++i) {
      multiply_tiles<Bf16Tiles, Stays::b, 2>(a.part(sum - i, first), b.part(i), steps, [] {});
    }
  }
  store_sums<2>(c);
}

// The keys and values of all heads as A: panels of 32 keys by steps of the head's numbers, and panels of 32 numbers
// by steps of the keys.
struct SplitKeys {
  char* at;
  Index key_steps, number_steps;  // of 32 keys, of 32 numbers of a head

  SplitKeys(const AttentionWork& w, char* memory)
      : at(memory), key_steps((w.S + kStep - 1) / kStep), number_steps((w.H + kStep - 1) / kStep) {}
  Index bytes() const { return 2 * split_bytes(key_steps * number_steps); }  // of a head
  SplitTiles keys(Index g, Index panel) const {
    return {at + g * bytes() + panel * split_bytes(number_steps), number_steps};
  }
  SplitTiles values(Index g, Index panel) const {
    return {at + g * bytes() + bytes() / 2 + panel * split_bytes(key_steps), key_steps};
  }
};

// Keys 32 `panel`, ... of a head, and their values, which are turned.
inline void split_keys(const SharedHead& head, Index panel, const SplitKeys& to) {
  const AttentionWork& w = head.w;
  const Index begin = panel * kStep, count = w.S - begin < kStep ? w.S - begin : kStep;
  const SplitTiles keys = to.keys(head.g, panel);
  for (Index s = 0; s < kStep; ++s) {
    for (Index k = 0; k < to.number_steps; ++k) {
      const Index h = k * kStep;
      const Parts parts = s < count ? split(head.k(begin + s) + h, w.H - h) : Parts{};
      keys.put(s / kTile, k, s % kTile, parts);
    }
  }
  for (Index h = 0; h < to.number_steps * kStep; h += kTile) {
    float turned[kTile][kStep];
    for (Index s = 0; s < kStep; s += kTile) {
      Units square[kTile];
      for (Index i = 0; i < kTile; ++i) {
        square[i] =
            s + i < count && h < w.H ? load_some(head.v(begin + s + i) + h, w.H - h) : Units{};
      }
      transpose(square);
      for (Index i = 0; i < kTile; ++i) store(&turned[i][s], square[i]);
    }
    const SplitTiles values = to.values(head.g, h / kKeyPanel);
    for (Index i = 0; i < kTile; ++i) values.put(h / kTile % 2, panel, i, split(turned[i], kStep));
  }
}

// The queries of a column as B.
inline void split_queries(const Column& column, const SplitTiles& to) {
  const Index H = column.head.w.H;
  for (Index half = 0; half < 2; ++half) {
    for (Index k = 0; k < to.steps; ++k) {
      Units squares[kThirds][kTile];
      for (Index j = 0; j < kTile; ++j) {
        const Index query = half * kTile + j, h = k * kStep;
        const Parts parts = query < column.queries
                                ? split(column.head.q(column.first + query) + h, H - h)
                                : Parts{};
        for (Index i = 0; i < kThirds; ++i) squares[i][j] = parts.part[i];
      }
      for (auto& square : squares) transpose(square);
      for (Index j = 0; j < kTile; ++j) {
        to.put(half, k, j, {{squares[0][j], squares[1][j], squares[2][j]}});
      }
    }
  }
}

// The weights of a column, 32 keys a step, as B: pairs of keys by queries.
inline void split_weights(const float* p, const SplitTiles& to) {
  for (Index half = 0; half < 2; ++half) {
    for (Index s = 0; s < to.steps * kStep; s += 2) {
      const float* const at = p + s * kColumns + half * kTile;
      to.put(half, s / kStep, s % kStep / 2,
             split_pairs(load<Lanes>(at), load<Lanes>(at + kColumns)));
    }
  }
}

// Where a thread works on a column: p [S, kColumns], mixed [H, kColumns], and the split queries and weights, all
// for whole steps.
struct SplitColumn {
  float *p, *mixed;
  char *queries, *weights;

  static Index bytes(const SplitKeys& keys) {
    const Index steps = keys.key_steps + keys.number_steps;
    return steps * kStep * kColumns * Index{sizeof(float)} + split_bytes(steps);
  }
  SplitColumn(const SplitKeys& keys, char* memory)
      : p(reinterpret_cast<float*>(memory)),
        mixed(p + keys.key_steps * kStep * kColumns),
        queries(reinterpret_cast<char*>(mixed + keys.number_steps * kStep * kColumns)),
        weights(queries + split_bytes(keys.number_steps)) {}
};

inline void attend_column(Column column, const SplitKeys& keys, const SplitColumn& to) {
  const Index g = column.head.g;
  const Index begin = column.keys.begin / kStep,
              steps = (column.keys.end + kStep - 1) / kStep - begin;
  column.keys = {begin * kStep, (begin + steps) * kStep};
  const auto sums_at = [](float* rows, Index step) {
    constexpr Index kRow = kColumns * sizeof(float);
    return SumsAt{reinterpret_cast<char*>(rows + step * kStep * kColumns), kRow, 64, kTile * kRow};
  };

  const SplitTiles queries{to.queries, keys.number_steps};
  split_queries(column, queries);
  for (Index k = 0; k < steps; ++k) {
    multiply_split(keys.keys(g, begin + k), 0, queries, keys.number_steps, sums_at(to.p, k));
  }
  Lanes share[kColumnRegisters];
  weigh(column, to.p, share);
  const SplitTiles weights{to.weights, steps};
  split_weights(to.p, weights);
  for (Index h = 0; h < keys.number_steps; ++h) {
    multiply_split(keys.values(g, h), begin, weights, steps, sums_at(to.mixed, h));
  }
  put_column(column, to.mixed, share);
}

inline void attend_many(const Fast& on, const AttentionWork& w, bool worth) {
  const Index queries = w.T * (w.N / w.K), columns = (queries + kColumns - 1) / kColumns;
  SplitKeys keys(w, nullptr);
  keys.at = static_cast<char*>(
      on.scratch(0, Scratch::rows, static_cast<std::size_t>(w.K * keys.bytes())));
  for_each(on, w.K * keys.key_steps, worth, [&](Index i, int) {
    split_keys(SharedHead{w, i / keys.key_steps}, i % keys.key_steps, keys);
  });
  for_each(on, w.K * columns, worth, [&](Index i, int thread) {
    const TileRegisters registers;
    auto* const memory = static_cast<char*>(
        on.scratch(thread, Scratch::panel, static_cast<std::size_t>(SplitColumn::bytes(keys))));
    const SharedHead head{w, i / columns};
    attend_column(Column(head, i % columns * kColumns), keys, SplitColumn(keys, memory));
  });
}

}  // namespace
}  // namespace paligemma
