// A tile of a product: a few rows of x times a panel, a strip of the other matrix that is as wide as two
// registers. All sums stay in registers while the features pass by. Included by kernels.
#pragma once

#include "fast/core/lanes.h"

namespace paligemma {
namespace {

constexpr int kPanelRegisters = 2;
constexpr int kPanel = kPanelRegisters * kLanes;  // columns of a panel
constexpr int kTileRows = kLanes == 16 ? 12 : 6;  // of x: with 24 or 12 sums no register is left

// panel[i][k] = number i of row k, widened; zeros for rows that are not there. This turns rows of weights,
// or keys, so that neighbours in a register belong to neighbouring outputs.
template <class T>
void pack_rows(const T* rows, Index stride, int count, int features, float* panel) {
  for (int k = 0; k < kPanel; ++k) {
    for (int i = 0; i < features; ++i) {
      panel[i * kPanel + k] = k < count ? widen(rows[k * stride + i]) : 0.0f;
    }
  }
}

// Where sums begin.
enum class Begin { zero, bias, stored };

struct Tile {
  const float* x;
  Index x_stride;
  const float* panel;  // [features][kPanel or more]
  Index panel_stride;
  Index features;
  float* y;
  Index y_stride;
  int columns;  // of the panel that are stored
  Begin begin;
  const float* bias;  // [kPanel]
};

// y[r][c] = begin + sum_i x[r][i] panel[i][c], for `Rows` rows.
template <int Rows>
void multiply_tile(const Tile& at, Index first_row) {
  const float* const x = at.x + first_row * at.x_stride;
  float* const y = at.y + first_row * at.y_stride;
  Lanes sum[Rows][kPanelRegisters];
  for (int r = 0; r < Rows; ++r) {
    float begin[kPanel] = {};
    for (int c = 0; at.begin != Begin::zero && c < at.columns; ++c) {
      begin[c] = at.begin == Begin::bias ? at.bias[c] : y[r * at.y_stride + c];
    }
    for (int v = 0; v < kPanelRegisters; ++v) sum[r][v] = load<Lanes>(begin + v * kLanes);
  }
  for (Index i = 0; i < at.features; ++i) {
    Lanes w[kPanelRegisters];
    for (int v = 0; v < kPanelRegisters; ++v) {
      w[v] = load<Lanes>(at.panel + i * at.panel_stride + v * kLanes);
    }
    for (int r = 0; r < Rows; ++r) {
      const Lanes number = broadcast(x[r * at.x_stride + i]);
      for (int v = 0; v < kPanelRegisters; ++v) sum[r][v] += number * w[v];
    }
  }
  for (int r = 0; r < Rows; ++r) {
    float end[kPanel];
    for (int v = 0; v < kPanelRegisters; ++v) store(end + v * kLanes, sum[r][v]);
    for (int c = 0; c < at.columns; ++c) y[r * at.y_stride + c] = end[c];
  }
}

inline void multiply_rows(const Tile& at, Index rows) {
  Index r = 0;
  for (; r + kTileRows <= rows; r += kTileRows) multiply_tile<kTileRows>(at, r);
  for (; r < rows; ++r) multiply_tile<1>(at, r);
}

}  // namespace
}  // namespace paligemma
