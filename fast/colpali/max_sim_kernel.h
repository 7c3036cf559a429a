// MaxSim, for whatever instruction set the including file is compiled for. The query is packed once, in panels whose
// columns are its rows; a tile is a few rows of a page times a panel, and what is kept of it are maxima. So a page
// is read once, as it is stored, and no product is written.
#pragma once

#include "fast/colpali/max_sim_work.h"
#include "fast/core/parallel.h"
#include "fast/core/tiles.h"

namespace paligemma {
namespace {

template <class Row>
using MaxSimProduct =
    std::conditional_t<std::is_same_v<Row, bf16> && kBf16Dot, Bf16Product, FloatProduct>;

// Whether a row of a page is units of the product as it is stored. An odd number of bf16 would end in half a unit.
template <class Row>
inline bool is_units(const MaxSimWork<Row>& w) {
  constexpr int kNumbers = MaxSimProduct<Row>::kNumbers;
  return sizeof(Row) * kNumbers == sizeof(std::uint32_t) && w.W % kNumbers == 0 &&
         w.row_stride % kNumbers == 0;
}
// Else it is made so.
template <class Row>
inline void copy_units(const Row* row, Index W, std::uint32_t* to) {
  if constexpr (MaxSimProduct<Row>::kNumbers > 1) {
    std::memcpy(to, row, sizeof(Row) * static_cast<std::size_t>(W));
    if (W % 2 != 0) to[W / 2] &= 0xffffu;
  } else {
    Index i = 0;
    for (; i + kLanes <= W; i += kLanes) store(to + i, load_widened(row + i));
    for (; i < W; ++i) store(to + i, widen(row[i]));
  }
}

// The query, packed: panels of [units][registers][kLanes], all but the last of kTileRegisters.
struct PackedQuery {
  const std::uint32_t* panels;
  Index T, units, panel_size;

  Index count() const { return (T + kPanel - 1) / kPanel; }
  int halves(Index panel) const {  // of registers
    constexpr Index kHalf = kLanes / 2;
    const Index columns = T - panel * kPanel;
    return columns < kPanel ? static_cast<int>((columns + kHalf - 1) / kHalf) : 2 * kTileRegisters;
  }
};

template <class Product>
PackedQuery pack_query(const Fast& on, const float* q, Index stride, Index T, Index W) {
  constexpr Index kStep = kLanes * Product::kNumbers;
  const Index whole = (W + kStep - 1) / kStep * kStep;
  PackedQuery packed{nullptr, T, (W + Product::kNumbers - 1) / Product::kNumbers,
                     whole / Product::kNumbers * kPanel};
  auto* const panels = static_cast<std::uint32_t*>(
      on.scratch(0, Scratch::panel,
                 sizeof(float) * static_cast<std::size_t>(packed.count() * packed.panel_size)));
  const auto pack = [&](const auto* rows, Index row_stride) {
    for (Index p = 0; p < packed.count(); ++p) {
      const Index t = p * kPanel, columns = T - t < kPanel ? T - t : kPanel;
      pack_panel<Product>([&](int k) { return rows + (t + k) * row_stride; },
                          static_cast<int>(columns), W, (packed.halves(p) + 1) / 2,
                          panels + p * packed.panel_size);
    }
  };
  if constexpr (Product::kNumbers == 1) {
    pack(q, stride);
  } else {
    auto* const rounded = static_cast<bf16*>(
        on.scratch(0, Scratch::rows, sizeof(bf16) * static_cast<std::size_t>(T * whole)));
    for (Index t = 0; t < T; ++t) {
      for (Index i = 0; i < W; i += kStep) {
        store(rounded + t * whole + i, round_to_bf16(q + t * stride + i, W - i));
      }
    }
    pack(static_cast<const bf16*>(rounded), whole);
  }
  packed.panels = panels;
  return packed;
}

// Half a register, for the last columns of a panel: on processors that multiply 16 lanes in two steps it takes one.
using HalfUnits __attribute__((vector_size(sizeof(Units) / 2))) = std::uint32_t;
using HalfLanes __attribute__((vector_size(sizeof(Lanes) / 2))) = float;

template <std::size_t... I>
inline HalfUnits first_half(Units v, std::index_sequence<I...>) {
  return __builtin_shufflevector(v, v, I...);
}
template <class Product>
inline HalfLanes half_dot(HalfLanes sum, HalfUnits x, HalfUnits w) {
#if defined(__AVX512BF16__)
  if constexpr (Product::kNumbers == 2) {
    return bits_as<HalfLanes>(
        _mm256_dpbf16_ps(bits_as<__m256>(sum), bits_as<__m256bh>(x), bits_as<__m256bh>(w)));
  }
#else
  if constexpr (Product::kNumbers == 2) {
    constexpr std::uint32_t kUpper = 0xffff'0000u;
    sum += bits_as<HalfLanes>(x & kUpper) * bits_as<HalfLanes>(w & kUpper);
    return sum + bits_as<HalfLanes>(x << 16) * bits_as<HalfLanes>(w << 16);
  }
#endif
  return sum + bits_as<HalfLanes>(x) * bits_as<HalfLanes>(w);
}

// best[c] = max( best[c], the products of the rows at x with column c ), of so many half registers of columns
template <class Product, int Rows, int Halves>
inline void keep_best(const std::uint32_t* x, Index stride, const std::uint32_t* panel, Index units,
                      float* best) {
  constexpr int kWhole = Halves / 2, kRegisters = (Halves + 1) / 2;
  constexpr bool kHalf = Halves % 2 != 0;
  Lanes product[Rows][kRegisters] = {};
  HalfLanes half_product[Rows] = {};
  for (Index i = 0; i < units; ++i) {
    Units w[kRegisters];
    for (int v = 0; v < kWhole; ++v) w[v] = load<Units>(panel + (i * kRegisters + v) * kLanes);
    HalfUnits half{};
    if (kHalf) half = load<HalfUnits>(panel + (i * kRegisters + kWhole) * kLanes);
    for (int r = 0; r < Rows; ++r) {
      const Units number = broadcast(load<std::uint32_t>(x + r * stride + i));
      for (int v = 0; v < kWhole; ++v) product[r][v] = Product::dot(product[r][v], number, w[v]);
      if (kHalf) {
        const HalfUnits one = first_half(number, std::make_index_sequence<kLanes / 2>());
        half_product[r] = half_dot<Product>(half_product[r], one, half);
      }
    }
  }
  for (int v = 0; v < kWhole; ++v) {
    Lanes largest = load<Lanes>(best + v * kLanes);
    for (int r = 0; r < Rows; ++r) largest = larger(product[r][v], largest);
    store(best + v * kLanes, largest);
  }
  if (!kHalf) return;
  HalfLanes largest = load<HalfLanes>(best + kWhole * kLanes);
  for (int r = 0; r < Rows; ++r) largest = half_product[r] > largest ? half_product[r] : largest;
  store(best + kWhole * kLanes, largest);
}

template <class Product, int Rows, int Halves = 2 * kTileRegisters>
inline void keep_best_of(int halves, const std::uint32_t* x, Index stride,
                         const std::uint32_t* panel, Index units, float* best) {
  if (halves == Halves) return keep_best<Product, Rows, Halves>(x, stride, panel, units, best);
  if constexpr (Halves > 1) {
    keep_best_of<Product, Rows, Halves - 1>(halves, x, stride, panel, units, best);
  }
}

template <class Product, int Rows>
inline void keep_best_of_all(const std::uint32_t* x, Index stride, const PackedQuery& query,
                             float* best) {
  for (Index p = 0; p < query.count(); ++p) {
    keep_best_of<Product, Rows>(query.halves(p), x, stride, query.panels + p * query.panel_size,
                                query.units, best + p * kPanel);
  }
}

// The rows of the next tile. They are read side by side, each too short for the processor to see where it goes.
template <class Row>
inline void fetch_rows(const Row* rows, Index count, Index stride) {
  const char* const begin = reinterpret_cast<const char*>(rows);
  const Index bytes = count * stride * static_cast<Index>(sizeof(Row));
  for (Index at = 0; at < bytes; at += 64) __builtin_prefetch(begin + at);
}

template <class Row>
void max_sim_of(const Fast& on, const MaxSimWork<Row>& w) {
  using Product = MaxSimProduct<Row>;
  const PackedQuery query = pack_query<Product>(on, w.q, w.q_stride, w.T, w.W);
  const auto floats = [&](int thread, Scratch purpose, Index count) {
    return on.scratch(thread, purpose, sizeof(float) * static_cast<std::size_t>(count));
  };
  const Index columns = query.count() * kPanel;
  const Index products = (w.first[w.P] - w.first[0]) * w.T * w.W;
  for_each(on, w.P, products > 2 * kWorthAThread, [&](Index page, int thread) {
    auto* const best = static_cast<float*>(floats(thread, Scratch::strip, columns));
    auto* const copies =
        static_cast<std::uint32_t*>(floats(thread, Scratch::patches, kTileRows * query.units));
    for (Index c = 0; c < columns; ++c) best[c] = -__builtin_inff();
    for_tiles(w.first[page + 1] - w.first[page], [&]<int Rows>(Index r) {
      const Row* const rows = w.rows + (w.first[page] + r) * w.row_stride;
      fetch_rows(rows + Rows * w.row_stride, Rows, w.row_stride);
      if (is_units(w)) {
        keep_best_of_all<Product, Rows>(reinterpret_cast<const std::uint32_t*>(rows),
                                        w.row_stride / Product::kNumbers, query, best);
      } else {
        for (Index k = 0; k < Rows; ++k) {
          copy_units(rows + k * w.row_stride, w.W, copies + k * query.units);
        }
        keep_best_of_all<Product, Rows>(copies, query.units, query, best);
      }
    });
    float sum = 0;
    for (Index t = 0; t < w.T; ++t) sum += best[t];
    w.scores[page] = sum;
  });
}

}  // namespace
}  // namespace paligemma
