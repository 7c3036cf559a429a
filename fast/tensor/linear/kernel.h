// The two ways of a product, for the registers of whatever processor the including file is compiled for.
#pragma once

#include "fast/core/tiles.h"
#include "fast/tensor/linear/kernels.h"

namespace paligemma {
namespace {

constexpr Index kFeatures = 512;  // of a panel: 16 to 64 KiB of floats, in L1 or L2
constexpr Index kFewTokens = 4;

// ---- many tokens -----------------------------------------------------------------------------------

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
        pack_rows(w.weight + o * w.I + i, w.I, outputs, features, panel);
        multiply_rows({w.x + i, w.I, panel, kPanel, features, w.y + o, w.y_stride, outputs,
                       i == 0 ? Begin::bias : Begin::stored, bias},
                      w.T);
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
