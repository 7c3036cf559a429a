// Linear layers, for whatever instruction set the including file is compiled for. There are two ways
// (docs/fast.md): many tokens use packed panels and tiles, a few tokens read the weights as streams.
#pragma once

#include <type_traits>

#include "fast/core/parallel.h"
#include "fast/core/tiles.h"
#include "fast/tensor/linear_epilogue.h"
#include "fast/tensor/linear_rows_kernel.h"
#include "fast/tensor/linear_work.h"
#include "fast/tensor/lora_kernel.h"
#if defined(PG_TILES)
#include "fast/tensor/amx_linear_kernel.h"
#endif

namespace paligemma {
namespace {

// So many are few: packing weights costs more than it gains. Tile registers have nothing to pack.
template <class Weight>
constexpr Index kFewTokens = 16;
template <>
constexpr Index kFewTokens<Int8Block> = 4;
template <>
constexpr Index kFewTokens<Int4Block> = 4;
#if defined(PG_TILES)
template <>
constexpr Index kFewTokens<bf16> = kTogether;
#endif

// Few tokens, or nothing to pack.
template <class Weight>
inline bool is_small(const LinearWork<Weight>& work) {
  return work.T <= kFewTokens<Weight> || work.I == 0;
}

// ---- many tokens -----------------------------------------------------------------------------------

constexpr Index kPanelUnits = 2048;  // units of a column of a panel (K): so the panel stays in L2

// A strip of the product: all rows of x times `outputs` rows of weights. It packs one panel after the other
// along the features, and adds the tiles of each to y, whose first element is the first row's first sum.
template <class Product, class Weight>
void multiply_strip(const LinearWork<Weight>& w, const std::uint32_t* x, Index x_stride,
                    const Weight* weight, const PanelRemainder& remainder, int outputs,
                    std::uint32_t* panel, float* y, Index y_stride, bool gelu, const float* gate) {
  constexpr Index kFeatures = kPanelUnits * Product::kNumbers;
  for (Index i = 0; i == 0 || i < w.I; i += kFeatures) {
    const Index features = w.I - i < kFeatures ? w.I - i : kFeatures;
    pack_panel<Product>([&](int k) { return weight + k * w.I + i; }, outputs, features,
                        kTileRegisters, panel);
    const Index units = (features + Product::kNumbers - 1) / Product::kNumbers;
    for_tiles(w.T, [&]<int Rows>(Index t) {
      Lanes sum[Rows][kTileRegisters] = {};
      float end[kPanel];
      for (Index r = 0; i > 0 && r < Rows; ++r) {
        const float* begin = y + (t + r) * y_stride;
        if (outputs < kPanel) {
          std::memcpy(end, begin, static_cast<std::size_t>(outputs) * sizeof(float));
          begin = end;
        }
        for (int v = 0; v < kTileRegisters; ++v) sum[r][v] = load<Lanes>(begin + v * kLanes);
      }
      multiply_tile<Product>(x + t * x_stride + i / Product::kNumbers, x_stride, 1, panel, units,
                             sum);
      if (i + features == w.I) remainder.make_whole(t, sum);
      for (Index r = 0; r < Rows; ++r) {
        float* const to = y + (t + r) * y_stride;
        float* const out = outputs < kPanel ? end : to;
        for (int v = 0; v < kTileRegisters; ++v) {
          if (i + features == w.I) {
            const Index at = (t + r) * kPanel + v * kLanes;
            sum[r][v] = finished(gelu, sum[r][v], gate != nullptr ? gate + at : nullptr);
          }
          store(out + v * kLanes, sum[r][v]);
        }
        if (outputs < kPanel) {
          std::memcpy(to, end, static_cast<std::size_t>(outputs) * sizeof(float));
        }
      }
    });
  }
}

// The work of tokens t to end - 1.
template <class Weight>
inline LinearWork<Weight> some_of(const LinearWork<Weight>& w, Index t, Index end) {
  LinearWork<Weight> some = w;
  some.x += t * w.I;
  some.y += t * w.y_stride;
  some.T = end - t;
  some.remainder = rest_of(w.remainder, t);
  some.gate_remainder = rest_of(w.gate_remainder, t);
  return some;
}

// `x` has `stride` units from a row to the next. Of fewer panels than threads, as an adapter's thin matrix has, each
// thread takes some of the tokens.
template <class Product, class Weight>
void by_panels(const Fast& on, const LinearWork<Weight>& all, const std::uint32_t* rows,
               Index stride) {
  const Index panels = (all.O + kPanel - 1) / kPanel;
  const Index parts = panels < on.threads() ? on.threads() : 1;
  for_each(on, panels * parts, true, [&](Index i, int thread) {
    const Index p = i / parts, t = i % parts * all.T / parts;
    const LinearWork<Weight> w = some_of(all, t, (i % parts + 1) * all.T / parts);
    const std::uint32_t* const x = rows + t * stride;
    // The panel, with room for the last square's zeros.
    auto* const panel = static_cast<std::uint32_t*>(
        on.scratch(thread, Scratch::panel,
                   sizeof(float) * static_cast<std::size_t>((kPanelUnits + 2 * kLanes) * kPanel)));
    const Index o = p * kPanel;
    const int outputs = static_cast<int>(w.O - o < kPanel ? w.O - o : kPanel);
    float* gate = nullptr;
    if (w.gate != nullptr) {
      gate = static_cast<float*>(on.scratch(
          thread, Scratch::strip, sizeof(float) * static_cast<std::size_t>(w.T * kPanel)));
      multiply_strip<Product>(w, x, stride, w.gate + o * w.I,
                              {on, thread, w.gate_remainder, w.O, o, outputs}, outputs, panel, gate,
                              kPanel, false, nullptr);
    }
    multiply_strip<Product>(w, x, stride, w.weight + o * w.I,
                            {on, thread, w.remainder, w.O, o, outputs}, outputs, panel, w.y + o,
                            w.y_stride, w.gelu, gate);
  });
}

// The same with x rounded to bf16. The stride of its rows is no power of two, or rows would evict one
// another from the cache.
template <class Weight>
void by_bf16_panels(const Fast& on, const LinearWork<Weight>& w) {
  const Index stride = (w.I + 31) / 32 * 16 + 16;
  auto* const x = static_cast<std::uint32_t*>(
      on.scratch(0, Scratch::rows, static_cast<std::size_t>(w.T * stride) * sizeof(std::uint32_t)));
  const auto round_row = [&](Index t, int) {
    for (Index i = 0; i < w.I; i += 2 * kLanes) {
      store(x + t * stride + i / 2, round_to_bf16(w.x + t * w.I + i, w.I - i));
    }
  };
  for_each(on, w.T, true, round_row, even_share(on, w.T));
  by_panels<Bf16Product>(on, w, x, stride);
}

template <class Weight>
void multiply(const Fast& on, const LinearWork<Weight>& work) {
  if (is_small(work)) {
    const TokenGroups groups{work.T};
    const Index length = padded(work.I);
    auto* const x = static_cast<float*>(
        on.scratch(0, Scratch::rows, sizeof(float) * static_cast<std::size_t>(work.T * length)));
    for (Index g = 0; g < groups.count(); ++g) {
      const Index t = groups.begin(g);
      arrange(work.x + t * work.I, groups.size(g), work.I, sizeof(Weight) == 2, x + t * length);
    }
    return by_rows(on, work, static_cast<const float*>(x), length, work.I);
  }
#if defined(PG_TILES)
  if constexpr (std::is_same_v<Weight, bf16>) return by_tile_registers(on, work);
#endif
  if constexpr (kBf16Dot && std::is_same_v<Weight, bf16>) return by_bf16_panels(on, work);
  by_panels<FloatProduct>(on, work, reinterpret_cast<const std::uint32_t*>(work.x), work.I);
}

}  // namespace
}  // namespace paligemma
