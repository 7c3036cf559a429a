// The micro-kernel of products, and the packing that it needs. A tile is a few rows of x times a panel, a
// packed strip of the other matrix that is a few registers wide. Its sums stay in registers while the loop
// goes over the features. Numbers are counted in units of 32 bits, which hold one float, two bf16 or four
// bytes (fast/core/products.h).
#pragma once

#include <type_traits>

#include "fast/core/products.h"

namespace paligemma {
namespace {

// The size of a tile: as many sums as leave registers for a row of the panel and one number of x. Eight rows
// divide the 256 patches of a picture and the 264 tokens of its prefix.
inline constexpr int kTileRows = kLanes == 16 ? 8 : 6;
inline constexpr int kTileRegisters = kLanes == 16 ? 3 : 2;
inline constexpr int kPanel = kTileRegisters * kLanes;  // columns

inline constexpr Index kWorthAThread = 1 << 16;  // multiplications in the time of waking a thread

// sum[r][c] += sum_i x[r][i] panel[i][c], where x[r][i] lies at x[r * row + i * next].
template <class Product, int Rows, int Registers>
inline void multiply_tile(const std::uint32_t* x, Index row, Index next, const std::uint32_t* panel,
                          Index units, typename Product::Sum (&sum)[Rows][Registers]) {
  for (Index i = 0; i < units; ++i) {
    Units w[Registers];
    for (int v = 0; v < Registers; ++v) w[v] = load<Units>(panel + (i * Registers + v) * kLanes);
    for (int r = 0; r < Rows; ++r) {
      const Units number = broadcast(load<std::uint32_t>(x + r * row + i * next));
      for (int v = 0; v < Registers; ++v) sum[r][v] = Product::dot(sum[r][v], number, w[v]);
    }
  }
}

// Covers `count` rows with tiles: whole tiles first, then tiles of four, two and one rows.
template <int Rows = kTileRows, class Tile>
inline void for_tiles(Index count, const Tile& tile, Index t = 0) {
  for (; t + Rows <= count; t += Rows) tile.template operator()<Rows>(t);
  if constexpr (Rows > 1) for_tiles<(Rows > 4 ? 4 : Rows / 2)>(count, tile, t);
}

// Loads kLanes units from `p`, where only `count` numbers exist, and zeros behind them.
template <class Number>
inline Units load_some(const Number* p, Index count) {
  constexpr Index kNumbers = sizeof(Units) / sizeof(Number);
  if (count >= kNumbers) return load<Units>(p);
  Number some[kNumbers] = {};
  if (count > 0) std::memcpy(some, p, static_cast<std::size_t>(count) * sizeof(Number));
  return load<Units>(some);
}
inline Lanes load_lanes(const float* p, Index count) { return bits_as<Lanes>(load_some(p, count)); }

// Stores the first `count` of kLanes units, or all.
template <class Number>
inline void store_some(Number* p, Units v, Index count) {
  constexpr Index kNumbers = sizeof(Units) / sizeof(Number);
  if (count >= kNumbers) return store(p, v);
  std::memcpy(p, &v, static_cast<std::size_t>(count) * sizeof(Number));
}

// Packs a panel: panel[i][k] = unit i of the row at row_of(k), zeros for k >= count. Squares of registers
// are transposed, so that the lanes of a register belong to neighbouring rows. It writes multiples of kLanes
// units.
template <class Product, class RowOf>
inline void pack_panel(const RowOf& row_of, int count, Index features, int registers,
                       std::uint32_t* panel) {
  using Number = std::remove_cvref_t<decltype(*row_of(0))>;
  constexpr bool kSplit = sizeof(Number) == 2 && Product::kNumbers == 1;  // two floats of a unit
  constexpr Index kStep = sizeof(Units) / sizeof(Number);
  const Index width = registers * kLanes;
  for (int first = 0; first < width; first += kLanes) {
    for (Index i = 0; i < features; i += kStep) {
      Units square[kLanes];
      for (int k = 0; k < kLanes; ++k) {
        square[k] = first + k < count ? load_some(row_of(first + k) + i, features - i) : Units{};
      }
      transpose(square);
      std::uint32_t* const to = panel + i / Product::kNumbers * width + first;
      for (int k = 0; k < kLanes; ++k) {
        if constexpr (kSplit) {
          store(to + (2 * k) * width, lower(square[k], Number{}));
          store(to + (2 * k + 1) * width, upper(square[k], Number{}));
        } else {
          store(to + k * width, square[k]);
        }
      }
    }
  }
}

// Two registers rounded to the nearest bf16, ties to even, as units of two neighbours; a NaN stays a NaN.
inline Units round_to_bf16(Lanes a, Lanes b) {
#if defined(__AVX512BF16__)
  return bits_as<Units>(_mm512_cvtne2ps_pbh(bits_as<__m512>(b), bits_as<__m512>(a)));
#else
  std::uint16_t numbers[2 * kLanes];
  for (int i = 0; i < 2; ++i) {
    const Lanes x = i == 0 ? a : b;
    const Units bits = bits_as<Units>(x);
    const Units rounded = x == x ? bits + 0x7fffu + ((bits >> 16) & 1u) : bits | 0x40'0000u;
    store(numbers + i * kLanes, __builtin_convertvector(rounded >> 16, LanesOf<std::uint16_t>));
  }
  return load<Units>(numbers);
#endif
}

// 2 kLanes floats, of which `count` exist; zeros behind them.
inline Units round_to_bf16(const float* x, Index count) {
  return round_to_bf16(load_lanes(x, count), load_lanes(x + kLanes, count - kLanes));
}

}  // namespace
}  // namespace paligemma
