// Products of the way back, for whatever instruction set the including file is compiled for. They are the forward's
// (fast/tensor/linear_kernel.h), but that the second matrix lies as panels want it: a panel is copied, not turned.
#pragma once

#include "fast/core/parallel.h"
#include "fast/core/tiles.h"
#include "fast/tensor/product_work.h"

namespace paligemma {
namespace {

// Rows of kPanel numbers of b, of which `columns` exist, as floats, and zeros behind them.
template <class Number>
inline void copy_panel(const Number* b, Index N, Index rows, int columns, float* panel) {
  for (Index k = 0; k < rows; ++k) {
    for (int n = 0; n < kPanel; ++n) {
      panel[k * kPanel + n] = n < columns ? widen(b[k * N + n]) : 0.0f;
    }
  }
}

// y[m][n] += sum_k a[m][k] panel[k][n], with a[m][k] at a[m * row + k * next], of the `columns` that exist.
inline void add_tiles(const float* a, Index row, Index next, const float* panel, Index depth,
                      float* y, Index y_row, Index count, int columns) {
  const auto units = [](const float* p) { return reinterpret_cast<const std::uint32_t*>(p); };
  for_tiles(count, [&]<int Rows>(Index t) {
    Lanes sum[Rows][kTileRegisters];
    float* const to = y + t * y_row;
    for (Index r = 0; r < Rows; ++r) {
      for (int v = 0; v < kTileRegisters; ++v) {
        sum[r][v] = load_lanes(to + r * y_row + v * kLanes, columns - v * kLanes);
      }
    }
    multiply_tile<FloatProduct>(units(a + t * row), row, next, units(panel), depth, sum);
    for (Index r = 0; r < Rows; ++r) {
      for (int v = 0; v < kTileRegisters && v * kLanes < columns; ++v) {
        store_some(to + r * y_row + v * kLanes, bits_as<Units>(sum[r][v]), columns - v * kLanes);
      }
    }
  });
}

// Of fewer panels than threads, each thread takes some of the rows.
template <class Number>
void add_product(const Fast& on, const ProductWork<Number>& w) {
  constexpr Index kRows = 512;  // of a panel, which so stays in the second cache
  const Index panels = (w.N + kPanel - 1) / kPanel;
  const Index parts = panels < on.threads() ? on.threads() : 1;
  for_each(on, panels * parts, w.M * w.K * w.N > kWorthAThread, [&](Index i, int thread) {
    const Index n = i / parts * kPanel, m = i % parts * w.M / parts;
    const int columns = static_cast<int>(w.N - n < kPanel ? w.N - n : kPanel);
    auto* const panel = static_cast<float*>(on.scratch(
        thread, Scratch::panel, sizeof(float) * static_cast<std::size_t>(kRows * kPanel)));
    for (Index k = 0; k < w.K; k += kRows) {
      const Index rows = w.K - k < kRows ? w.K - k : kRows;
      copy_panel(w.b + k * w.N + n, w.N, rows, columns, panel);
      add_tiles(w.a + m * w.a_row + k * w.a_next, w.a_row, w.a_next, panel, rows, w.y + m * w.N + n,
                w.N, (i % parts + 1) * w.M / parts - m, columns);
    }
  });
}

}  // namespace
}  // namespace paligemma
