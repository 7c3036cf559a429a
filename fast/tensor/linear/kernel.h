// The two ways of a product, for the registers of whatever processor the including file is compiled for.
#pragma once

#include "fast/core/lanes.h"
#include "fast/tensor/linear/kernels.h"

namespace paligemma {
namespace {

constexpr int kPanelRegisters = 2;
constexpr int kPanel = kPanelRegisters * kLanes;    // outputs that are computed at once
constexpr int kTileTokens = kLanes == 16 ? 12 : 6;  // so that all sums stay in registers
constexpr Index kFeatures = 512;  // of a panel: 32 or 64 KiB of floats, in L1 or L2
constexpr Index kFewTokens = 4;

// ---- many tokens -----------------------------------------------------------------------------------

// panel[i][k] = weight row k, feature i, widened; zeros for rows that are not there.
template <class Weight>
void pack(const Weight* weight, Index stride, int rows, int features, float* panel) {
  for (int k = 0; k < kPanel; ++k) {
    for (int i = 0; i < features; ++i) {
      panel[i * kPanel + k] = k < rows ? widen(weight[k * stride + i]) : 0.0f;
    }
  }
}

// y = x times the panel, for `Tokens` rows; `outputs` of a panel's columns are stored. The sums begin as
// `start` has them: the bias, or what stands in y already.
template <int Tokens>
void tile(const float* x, Index x_stride, const float* panel, int features, float* y,
          Index y_stride, int outputs, const float* bias) {
  Lanes sum[Tokens][kPanelRegisters];
  for (int t = 0; t < Tokens; ++t) {
    float start[kPanel];
    const float* from = bias != nullptr ? bias : y + t * y_stride;
    for (int k = 0; k < kPanel; ++k) start[k] = k < outputs || bias != nullptr ? from[k] : 0.0f;
    for (int r = 0; r < kPanelRegisters; ++r) sum[t][r] = load<Lanes>(start + r * kLanes);
  }
  for (int i = 0; i < features; ++i) {
    Lanes w[kPanelRegisters];
    for (int r = 0; r < kPanelRegisters; ++r) w[r] = load<Lanes>(panel + i * kPanel + r * kLanes);
    for (int t = 0; t < Tokens; ++t) {
      const Lanes token = broadcast(x[t * x_stride + i]);
      for (int r = 0; r < kPanelRegisters; ++r) sum[t][r] += token * w[r];
    }
  }
  for (int t = 0; t < Tokens; ++t) {
    float end[kPanel];
    for (int r = 0; r < kPanelRegisters; ++r) store(end + r * kLanes, sum[t][r]);
    for (int k = 0; k < outputs; ++k) y[t * y_stride + k] = end[k];
  }
}

template <class Weight>
void by_panels(const LinearWork<Weight>& w) {
  const Index panels = (w.O + kPanel - 1) / kPanel;
#pragma omp parallel
  {
    alignas(64) float panel[kFeatures * kPanel];
#pragma omp for schedule(dynamic)
    for (Index p = 0; p < panels; ++p) {
      const Index o = p * kPanel;
      const int outputs = static_cast<int>(w.O - o < kPanel ? w.O - o : kPanel);
      float bias[kPanel] = {};
      for (int k = 0; w.bias != nullptr && k < outputs; ++k) bias[k] = widen(w.bias[o + k]);
      for (Index i = 0; i < w.I; i += kFeatures) {
        const int features = static_cast<int>(w.I - i < kFeatures ? w.I - i : kFeatures);
        pack(w.weight + o * w.I + i, w.I, outputs, features, panel);
        const float* start = i == 0 ? bias : nullptr;
        Index t = 0;
        for (; t + kTileTokens <= w.T; t += kTileTokens) {
          tile<kTileTokens>(w.x + t * w.I + i, w.I, panel, features, w.y + t * w.y_stride + o,
                            w.y_stride, outputs, start);
        }
        for (; t < w.T; ++t) {
          tile<1>(w.x + t * w.I + i, w.I, panel, features, w.y + t * w.y_stride + o, w.y_stride,
                  outputs, start);
        }
      }
    }
  }
}

// ---- a few tokens ----------------------------------------------------------------------------------

// The inner products of one x with `Rows` rows of weights, each with two sums under way.
template <int Rows, class Weight>
void row_dots(const float* x, const Weight* weight, Index I, float (&dots)[Rows]) {
  Lanes sum[Rows][2] = {};
  Index i = 0;
  for (; i + 2 * kLanes <= I; i += 2 * kLanes) {
    const Lanes x0 = load<Lanes>(x + i), x1 = load<Lanes>(x + i + kLanes);
    for (int r = 0; r < Rows; ++r) {
      sum[r][0] += x0 * load_widened(weight + r * I + i);
      sum[r][1] += x1 * load_widened(weight + r * I + i + kLanes);
    }
  }
  for (int r = 0; r < Rows; ++r) {
    dots[r] = sum_of(sum[r][0] + sum[r][1]);
    for (Index rest = i; rest < I; ++rest) dots[r] += x[rest] * widen(weight[r * I + rest]);
  }
}

template <class Weight>
void by_rows(const LinearWork<Weight>& w) {
  constexpr int kRows = 4;
  constexpr Index kWorthAThread = 1 << 16;  // products: about what waking a thread costs
#pragma omp parallel for if (w.T * w.O * w.I > kWorthAThread)
  for (Index o = 0; o < w.O; o += kRows) {
    for (Index t = 0; t < w.T; ++t) {
      float dots[kRows];
      const float* x = w.x + t * w.I;
      const int rows = static_cast<int>(w.O - o < kRows ? w.O - o : kRows);
      if (rows == kRows) {
        row_dots<kRows>(x, w.weight + o * w.I, w.I, dots);
      } else {
        for (int r = 0; r < rows; ++r) {
          float one[1];
          row_dots<1>(x, w.weight + (o + r) * w.I, w.I, one);
          dots[r] = one[0];
        }
      }
      for (int r = 0; r < rows; ++r) {
        w.y[t * w.y_stride + o + r] = dots[r] + (w.bias != nullptr ? widen(w.bias[o + r]) : 0.0f);
      }
    }
  }
}

template <class Weight>
void multiply(const LinearWork<Weight>& work) {
  return work.T <= kFewTokens ? by_rows(work) : by_panels(work);
}

}  // namespace
}  // namespace paligemma
