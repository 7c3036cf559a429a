// The way back through attention, for whatever instruction set the including file is compiled for. Each head is five
// products, of some queries at a time:
//
//   scores = q k^T,  dweights = dout v^T                       [B, S]
//   weights = e^(scale scores - log_sum_exp),  dscores = weights (dweights - dout . out) scale
//   dv += weights^T dout,  dk += dscores^T q,  dq += dscores k
//
// What a query does not see has weight 0, and so no gradient.
#pragma once

#include "fast/core/math.h"
#include "fast/core/parallel.h"
#include "fast/core/tiles.h"
#include "fast/tensor/attention_backward_work.h"
#include "fast/tensor/product_kernel.h"

namespace paligemma {
namespace {

inline constexpr Index kQueries = 64;  // B

// Where the keys and values of a head, turned into panels, and the two matrices [B, S] lie.
struct HeadMemory {
  float *k, *v;              // panels of H rows
  float *weights, *dscores;  // rows of `stride` numbers
  float* panel;              // for copies
  Index stride;              // S, made whole panels
};

inline Lanes seen_lanes(Index s, KeyRange keys, Lanes x) {
  if (s >= keys.begin && s + kLanes <= keys.end) return x;
  float numbers[kLanes];
  store(numbers, x);
  for (int i = 0; i < kLanes; ++i) {
    if (s + i < keys.begin || s + i >= keys.end) numbers[i] = 0;
  }
  return load<Lanes>(numbers);
}

inline float dot_product(const float* a, const float* b, Index n) {
  Lanes sum = {};
  for (Index i = 0; i < n; i += kLanes) {
    sum += load_lanes(a + i, n - i) * load_lanes(b + i, n - i);
  }
  return sum_of(sum);
}

// Rows of a head as panels for products over its features.
inline void turn_head(const float* rows, Index row, Index count, Index H, float* panels) {
  for (Index s = 0; s < count; s += kPanel) {
    const int some = static_cast<int>(count - s < kPanel ? count - s : kPanel);
    pack_panel<FloatProduct>([&](int k) { return rows + (s + k) * row; }, some, H, kTileRegisters,
                             reinterpret_cast<std::uint32_t*>(panels + s * H));
  }
}

// From scores and dweights of query t to weights and dscores, in place.
inline void bend_row(const AttentionBackwardWork& w, Index t, Index n, float* scores,
                     float* dweights, Index stride) {
  const KeyRange keys = w.visible != nullptr ? w.visible[t] : KeyRange{0, w.S};
  const Index at = (t * w.N + n) * w.H;
  const float mean = dot_product(w.dout + at, w.out + at, w.H);
  const float log_sum_exp = w.log_sum_exp[t * w.N + n];
  const float cap = w.rule.soft_cap;
  for (Index s = 0; s < stride; s += kLanes) {
    Lanes score = load<Lanes>(scores + s) * w.rule.scale, slope = broadcast(w.rule.scale);
    if (cap != kNoSoftCap) {
      const Lanes bent = tanh(score / cap);
      score = bent * cap;
      slope = slope * (1.0f - bent * bent);
    }
    const Lanes weight = seen_lanes(s, keys, exp(score - log_sum_exp));
    store(scores + s, weight);
    store(dweights + s, weight * (load<Lanes>(dweights + s) - mean) * slope);
  }
}

inline void head_backward(const AttentionBackwardWork& w, Index n, const HeadMemory& m) {
  const Index q_row = w.N * w.H, k_row = w.K * w.H, g = n / (w.N / w.K);
  float *const dk = w.dk + n * w.S * w.H, *const dv = w.dv + n * w.S * w.H;
  turn_head(w.k + g * w.H, k_row, w.S, w.H, m.k);
  turn_head(w.v + g * w.H, k_row, w.S, w.H, m.v);
  for (Index t = 0; t < w.T; t += kQueries) {
    const Index count = w.T - t < kQueries ? w.T - t : kQueries;
    const float *const q = w.q + t * q_row + n * w.H, *const dout = w.dout + t * q_row + n * w.H;
    for (Index i = 0; i < count * m.stride; i += kLanes) {
      store(m.weights + i, Lanes{});
      store(m.dscores + i, Lanes{});
    }
    for (Index s = 0; s < w.S; s += kPanel) {
      add_tiles(q, q_row, 1, m.k + s * w.H, w.H, m.weights + s, m.stride, count, kPanel);
      add_tiles(dout, q_row, 1, m.v + s * w.H, w.H, m.dscores + s, m.stride, count, kPanel);
    }
    for (Index b = 0; b < count; ++b) {
      bend_row(w, t + b, n, m.weights + b * m.stride, m.dscores + b * m.stride, m.stride);
    }
    for (Index h = 0; h < w.H; h += kPanel) {
      const int columns = static_cast<int>(w.H - h < kPanel ? w.H - h : kPanel);
      copy_panel(dout + h, q_row, count, columns, m.panel);
      add_tiles(m.weights, 1, m.stride, m.panel, count, dv + h, w.H, w.S, columns);
      copy_panel(q + h, q_row, count, columns, m.panel);
      add_tiles(m.dscores, 1, m.stride, m.panel, count, dk + h, w.H, w.S, columns);
      for (Index s = 0; s < w.S; s += kQueries) {
        const Index some = w.S - s < kQueries ? w.S - s : kQueries;
        copy_panel(w.k + s * k_row + g * w.H + h, k_row, some, columns, m.panel);
        add_tiles(m.dscores + s, m.stride, 1, m.panel, some, w.dq + t * q_row + n * w.H + h, q_row,
                  count, columns);
      }
    }
  }
}

void attend_backward(const Fast& on, const AttentionBackwardWork& w) {
  const Index stride = (w.S + kPanel - 1) / kPanel * kPanel;
  // The last turned square of v may reach into the matrices, which are written later.
  const Index floats = 2 * stride * w.H + 2 * kQueries * stride + kQueries * kPanel;
  for_each(on, w.N, w.T * w.S * w.N * w.H > kWorthAThread, [&](Index n, int thread) {
    auto* const memory = static_cast<float*>(
        on.scratch(thread, Scratch::strip, sizeof(float) * static_cast<std::size_t>(floats)));
    float* const matrices = memory + 2 * stride * w.H;
    head_backward(w, n,
                  {memory, memory + stride * w.H, matrices, matrices + kQueries * stride,
                   matrices + 2 * kQueries * stride, stride});
  });
}

}  // namespace
}  // namespace paligemma
