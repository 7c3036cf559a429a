// The tile registers of AMX: eight, of 16 rows of 64 bytes. A product of three of them adds to C, where a row of
// A and a column of B have 16 units of 32 bits, two bf16 or four bytes each:
//
//   C [16, 16] += A [16, 16 units] times B [16 units, 16]
//
//   Bf16Tiles   tdpbf16ps   32 features, sums of floats
//   ByteTiles   tdpbssd     64 features, sums of integers; both factors are signed
//
// docs/amx.md says what they compute, bit for bit, and what they cost. The instructions are asm, because the
// intrinsics of g++ 12 do not tell it which memory they read. With PG_EMULATE_AMX they are written out in C++, so
// that all but the instructions themselves is tested on any machine.
#pragma once

#include "fast/core/products.h"

namespace paligemma {
namespace {

inline constexpr Index kTile = 16;         // rows of A, columns of B
inline constexpr Index kTileBytes = 1024;  // of each register

#if defined(PG_AMX)

// While it lives, the calling thread has the registers, all of them whole.
class TileRegisters {
 public:
  TileRegisters() {
    alignas(64) std::uint8_t configuration[64] = {1};  // the palette
    for (int tile = 0; tile < 8; ++tile) {
      configuration[16 + 2 * tile] = 64;  // bytes of a row
      configuration[48 + tile] = 16;      // rows
    }
    asm volatile("ldtilecfg %0" ::"m"(configuration));
  }
  ~TileRegisters() { asm volatile("tilerelease"); }
  TileRegisters(const TileRegisters&) = delete;
  TileRegisters& operator=(const TileRegisters&) = delete;
};

template <int R>
inline void zero_tile() {
  asm volatile("tilezero %%tmm%c0" ::"i"(R));
}
// Rows lie `row` bytes apart. What does not stay pushes nothing out of the first cache.
template <int R, bool Stays = true>
inline void load_tile(const void* p, Index row) {
  if constexpr (Stays) {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(p), "r"(row), "i"(R) : "memory");
  } else {
    asm volatile("tileloaddt1 (%0,%1,1), %%tmm%c2" ::"r"(p), "r"(row), "i"(R) : "memory");
  }
}
template <int R>
inline void store_tile(void* p, Index row) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(p), "r"(row), "i"(R) : "memory");
}

struct Bf16Tiles {
  static constexpr Index kFeatures = 32;
  template <int C, int A, int B>
  static void multiply() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(C), "i"(A), "i"(B));
  }
};

struct ByteTiles {
  static constexpr Index kFeatures = 64;
  template <int C, int A, int B>
  static void multiply() {
    asm volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(C), "i"(A), "i"(B));
  }
};

#else

// Written out: a register is an array, and who has not asked for the registers finds nonsense in them.
struct TileArrays {
  alignas(64) std::uint32_t row[8][kTile][kTile];
};
inline TileArrays& tile_arrays() {
  static thread_local TileArrays arrays;
  return arrays;
}

struct TileRegisters {
  TileRegisters() { std::memset(&tile_arrays(), 0, sizeof(TileArrays)); }
  ~TileRegisters() { std::memset(&tile_arrays(), 0xff, sizeof(TileArrays)); }
  TileRegisters(const TileRegisters&) = delete;
  TileRegisters& operator=(const TileRegisters&) = delete;
};

template <int R>
inline void zero_tile() {
  std::memset(tile_arrays().row[R], 0, kTileBytes);
}
template <int R, bool Stays = true>
inline void load_tile(const void* p, Index row) {
  for (Index r = 0; r < kTile; ++r) {
    std::memcpy(tile_arrays().row[R][r], static_cast<const char*>(p) + r * row, 64);
  }
}
template <int R>
inline void store_tile(void* p, Index row) {
  for (Index r = 0; r < kTile; ++r) {
    std::memcpy(static_cast<char*>(p) + r * row, tile_arrays().row[R][r], 64);
  }
}

// Numbers below the least that a float has all digits for count as zero.
inline Lanes flushed(Lanes x) {
  const Units bits = bits_as<Units>(x);
  return bits_as<Lanes>((bits & 0x7f80'0000u) == 0 ? bits & 0x8000'0000u : bits);
}

using Doubles = LanesOf<double>;
inline Doubles wide(Lanes x) { return __builtin_convertvector(flushed(x), Doubles); }

// Even and odd numbers are summed apart from zero on, and C comes last. a b + sum is rounded once: a double holds
// the product and, but for what rounds away, the sum.
struct Bf16Tiles {
  static constexpr Index kFeatures = 32;
  template <int C, int A, int B>
  static void multiply() {
    TileArrays& tiles = tile_arrays();
    Doubles even_of_b[kTile], odd_of_b[kTile];
    for (Index k = 0; k < kTile; ++k) {
      const Units b = load<Units>(tiles.row[B][k]);
      even_of_b[k] = wide(lower(b, bf16{})), odd_of_b[k] = wide(upper(b, bf16{}));
    }
    const auto add = [](Lanes& sum, Lanes a, Doubles b) {
      sum = flushed(__builtin_convertvector(wide(a)[0] * b + wide(sum), Lanes));
    };
    for (Index r = 0; r < kTile; ++r) {
      Lanes even = {}, odd = {};
      for (Index k = 0; k < kTile; ++k) {
        const Units a = broadcast(tiles.row[A][r][k]);
        add(even, lower(a, bf16{}), even_of_b[k]);
        add(odd, upper(a, bf16{}), odd_of_b[k]);
      }
      store(tiles.row[C][r], flushed(flushed(load<Lanes>(tiles.row[C][r])) + flushed(even + odd)));
    }
  }
};

struct ByteTiles {
  static constexpr Index kFeatures = 64;
  template <int C, int A, int B>
  static void multiply() {
    TileArrays& tiles = tile_arrays();
    const auto byte = [](Units v, int i) { return (bits_as<Ints>(v) << (24 - 8 * i)) >> 24; };
    for (Index r = 0; r < kTile; ++r) {
      Units sum = load<Units>(tiles.row[C][r]);  // it wraps
      for (Index k = 0; k < kTile; ++k) {
        const Units a = broadcast(tiles.row[A][r][k]), b = load<Units>(tiles.row[B][k]);
        for (int i = 0; i < 4; ++i) sum += bits_as<Units>(byte(a, i) * byte(b, i));
      }
      store(tiles.row[C][r], sum);
    }
  }
};

#endif

// ---- two tiles times two tiles ---------------------------------------------------------------------

// Two A and two B make four C, and each is used twice. A and B are steps of features, `other` bytes from the first
// 16 rows or columns to the others; C, in registers 0 to 3, is [2][2] tiles.
struct Operand {
  const char* at;
  Index other;
};

// C += A B over `steps` steps, for 16 or 32 columns of B. `beside` is done at each step. The one that stays is to
// stay in the first cache, where the next product finds it; the other passes by.
enum class Stays { a, b };
template <class Tiles, Stays Stay, int Columns, class Beside>
inline void multiply_tiles(Operand a, Operand b, Index steps, const Beside& beside) {
  for (Index k = 0; k < steps; ++k, a.at += kTileBytes, b.at += kTileBytes) {
    load_tile<4, Stay == Stays::a>(a.at, 64);
    load_tile<6, Stay == Stays::b>(b.at, 64);
    Tiles::template multiply<0, 4, 6>();
    if constexpr (Columns == 2) {
      load_tile<7, Stay == Stays::b>(b.at + b.other, 64);
      Tiles::template multiply<1, 4, 7>();
    }
    beside();
    load_tile<5, Stay == Stays::a>(a.at + a.other, 64);
    Tiles::template multiply<2, 5, 6>();
    if constexpr (Columns == 2) Tiles::template multiply<3, 5, 7>();
  }
}

// C in memory: `row` bytes from a row to the next, `right` and `below` to the other tiles.
struct SumsAt {
  char* at;
  Index row = 64, right = kTileBytes, below = 2 * kTileBytes;
};
constexpr Index kSumBytes = 4 * kTileBytes;

template <int Columns>
inline void zero_sums() {
  zero_tile<0>(), zero_tile<2>();
  if constexpr (Columns == 2) zero_tile<1>(), zero_tile<3>();
}
template <int Columns>
inline void load_sums(const SumsAt& c) {
  load_tile<0>(c.at, c.row), load_tile<2>(c.at + c.below, c.row);
  if constexpr (Columns == 2) {
    load_tile<1>(c.at + c.right, c.row), load_tile<3>(c.at + c.below + c.right, c.row);
  }
}
template <int Columns>
inline void store_sums(const SumsAt& c) {
  store_tile<0>(c.at, c.row), store_tile<2>(c.at + c.below, c.row);
  if constexpr (Columns == 2) {
    store_tile<1>(c.at + c.right, c.row), store_tile<3>(c.at + c.below + c.right, c.row);
  }
}

}  // namespace
}  // namespace paligemma
