// Linear layers with quantised weights, for whatever instruction set the including file is compiled for. x is
// rounded to 8 bits, with a scale for each block of 256 features. The products of a block are summed as
// integers, exactly; the sums of blocks are scaled and added as floats.
#pragma once

#include "fast/core/rounded_block.h"
#include "fast/tensor/linear_kernel.h"

namespace paligemma {
namespace {

// Rounds the rows of x, with all threads if there are many.
template <class Rounded, class Weight>
inline void round_rows(const Fast& on, const LinearWork<Weight>& w, Rounded* x) {
  const Index blocks = blocks_of(w.I);
  for_each(
      on, w.T, w.T > kFewTokens<Weight>,
      [&](Index t, int) {
        for (Index b = 0; b < blocks; ++b) {
          const Index i = b * kBlock;
          x[t * blocks + b] = Rounded(w.x + t * w.I + i, w.I - i < kBlock ? w.I - i : kBlock);
        }
      },
      even_share(on, w.T));
}

// ---- a few tokens ----------------------------------------------------------------------------------

// vpdpbusd multiplies unsigned bytes by signed ones. So it is given q + 128, and the sums begin at -128 times
// the sum of x.
constexpr std::uint32_t kFlip = kParts == 1 ? 0x8080'8080u : 0u;
constexpr std::int32_t kOffset = kParts == 1 ? 128 : 0;

// The sums begin at Factor times the sum of x, which makes up for weights that were made unsigned.
template <int Factor>
inline void begin_sums(const RowBlock& x, Ints (&sum)[kSets]) {
  for (int s = 0; s < kSets; ++s) {
    sum[s] = Factor == 0 ? Ints{} : load<Ints>(x.sum + s * kLanes) * Factor;
  }
}

// total[r] += the product of x with one block of row r; rows lie `apart` from one another and share the loads
// of x. The loop over units must not be unrolled: its sums would not fit in registers.
template <int Rows>
inline void add_block(const RowBlock& x, const Int8Block* weight, Index apart, Lanes* total) {
  Ints sum[Rows][kSets];
  for (int r = 0; r < Rows; ++r) begin_sums<-kOffset>(x, sum[r]);
#pragma GCC unroll 1
  for (Index u = 0; u < kBlockUnits; u += kLanes) {
    const RowUnits four(x, u);
    for (int r = 0; r < Rows; ++r) {
      fetch_ahead(weight[r * apart].q + 4 * u);
      Ints& to = sum[r][u / kLanes % kSets];
      to = add_products(to, load<Units>(weight[r * apart].q + 4 * u) ^ kFlip, four);
    }
  }
  for (int r = 0; r < Rows; ++r) {
    for (int s = 1; s < kSets; ++s) sum[r][0] += sum[r][s];
    total[r] += to_float(sum[r][0]) * (x.scale * weight[r * apart].scale);
  }
}

template <int Rows>
inline void add_block(const RowBlock& x, const Int4Block* weight, Index apart, Lanes* total) {
  Ints sum[Rows][kSets];
  for (int r = 0; r < Rows; ++r) begin_sums<-8>(x, sum[r]);
#pragma GCC unroll 1
  for (Index u = 0; u < kBlockUnits / 2; u += kLanes) {
    const RowUnits low(x, u), high(x, u + kBlockUnits / 2);
    for (int r = 0; r < Rows; ++r) {
      fetch_ahead(weight[r * apart].pair + 4 * u);
      const Units pair = load<Units>(weight[r * apart].pair + 4 * u);
      Ints& to = sum[r][u / kLanes % kSets];
      to = add_products(to, pair & kLowBits, low);
      to = add_products(to, (pair >> 4) & kLowBits, high);
    }
  }
  for (int r = 0; r < Rows; ++r) {
    const Int4Block& w = weight[r * apart];
    for (int s = 0; s < kSets; ++s) sum[r][s] *= factors(w, s);
    for (int s = 1; s < kSets; ++s) sum[r][0] += sum[r][s];
    total[r] += to_float(sum[r][0]) * (x.scale * w.scale);
  }
}

// With sums of 16 bits: the final sum is of 16 products of at most 8 * 127 and fits. Partial sums may wrap
// around, which the later ones undo.
template <int Rows>
requires(kShortSums) inline void add_block(const RowBlock& x, const Int4Block* weight, Index apart,
                                           Lanes* total) {
  Shorts sum[Rows];
  for (int r = 0; r < Rows; ++r) sum[r] = load<Shorts>(x.offset);
#pragma GCC unroll 1
  for (Index u = 0; u < kBlockUnits / 2; u += kLanes) {
    const Units low = load<Units>(x.units + u), high = load<Units>(x.units + u + kBlockUnits / 2);
    for (int r = 0; r < Rows; ++r) {
      fetch_ahead(weight[r * apart].pair + 4 * u);
      const Units pair = load<Units>(weight[r * apart].pair + 4 * u);
      sum[r] += short_dot(low, pair & kLowBits);
      sum[r] += short_dot(high, (pair >> 4) & kLowBits);
    }
  }
  for (int r = 0; r < Rows; ++r) {
    const Int4Block& w = weight[r * apart];
    total[r] += to_float(scaled_pairs(sum[r], w.factor)) * (x.scale * w.scale);
  }
}

template <int Rows, int Tokens, class Block>
inline void row_dots(const RowBlock* x, const Block* weight, Index apart, Index blocks,
                     float (*dots)[Rows]) {
  for (int t = 0; t < Tokens; ++t) {
    Lanes total[Rows] = {};
    for (Index b = 0; b < blocks; ++b) add_block<Rows>(x[t * blocks + b], weight + b, apart, total);
    for (int r = 0; r < Rows; ++r) dots[t][r] = sum_of(total[r]);
  }
}

// ---- many tokens -----------------------------------------------------------------------------------

constexpr Index kPanelBlocks = kPanelUnits / (kParts * kBlockUnits);

// A packed panel of weights of up to kPanelBlocks blocks: units [block][kParts * kBlockUnits][kPanel] and
// scales [block][kPanel].
struct BytePanel {
  std::uint32_t* units;
  float* scales;
};

// Stores the even and odd bytes of kLanes rows in the order of the product's instruction.
inline void put(Units even, Units odd, std::uint32_t* to) {
  if constexpr (kParts == 1) {
    store(to, even | (odd << 8));
  } else {
    store(to, even);
    store(to + kBlockUnits * kPanel, odd);
  }
}

template <class Block, class RowOf>
inline void load_squares(const RowOf& bytes_of, int rows, Index u, Units (&square)[kLanes]) {
  for (int k = 0; k < kLanes; ++k) {
    square[k] = k < rows ? load<Units>(bytes_of(k) + 4 * u) : Units{};
  }
  transpose(square);
}

inline void pack_block(const Int8Block* first, Index row, int rows, std::uint32_t* to) {
  for (Index u = 0; u < kBlockUnits; u += kLanes) {
    Units square[kLanes];
    load_squares<Int8Block>([&](int k) { return first[k * row].q; }, rows, u, square);
    for (int k = 0; k < kLanes; ++k) {
      std::uint32_t* const at = to + (u + k) * kPanel;
      if constexpr (kParts == 1) {
        store(at, square[k] ^ kFlip);
      } else {
        put(even_bytes(square[k]), odd_bytes(square[k]), at);
      }
    }
  }
}

// factor * (n - 8), plus 128 where the instruction takes unsigned bytes.
inline void pack_block(const Int4Block* first, Index row, int rows, std::uint32_t* to) {
  Shorts factor[kGroups];
  for (int g = 0; g < kGroups; ++g) {
    Ints of_rows = {};
    for (int k = 0; k < kLanes && k < rows; ++k) {
      of_rows[k] = first[k * row].factor[g];  // NOLINT(bugprone-signed-char-misuse): it has a sign
    }
    factor[g] = bits_as<Shorts>((of_rows & 0xffff) | (of_rows << 16));
  }
  const auto times = [](Units n, Shorts f) {
    return bits_as<Units>(bits_as<Shorts>(n) * f + (static_cast<std::int16_t>(kOffset) - f * 8));
  };
  for (Index u = 0; u < kBlockUnits / 2; u += kLanes) {
    Units square[kLanes];
    load_squares<Int4Block>([&](int k) { return first[k * row].pair; }, rows, u, square);
    for (int k = 0; k < kLanes; ++k) {
      const Shorts f = factor[(u + k) % kGroups];
      const auto half = [&](Units n, Index unit) {
        put(times(n & 0x00ff'00ffu, f), times((n >> 8) & 0x00ff'00ffu, f), to + unit * kPanel);
      };
      half(square[k] & 0x0f0f'0f0fu, u + k);
      half((square[k] >> 4) & 0x0f0f'0f0fu, u + k + kBlockUnits / 2);
    }
  }
}

template <class Block>
void multiply_strip(const LinearWork<Block>& w, const PanelBlock* x, const Block* weight,
                    const PanelRemainder& remainder, int outputs, BytePanel panel, float* y,
                    Index y_stride, bool gelu, const float* gate) {
  const Index blocks = blocks_of(w.I);
  for (Index b = 0; b < blocks; b += kPanelBlocks) {
    const Index count = blocks - b < kPanelBlocks ? blocks - b : kPanelBlocks;
    for (Index k = 0; k < count; ++k) {
      for (int o = 0; o < kPanel; ++o) {
        panel.scales[k * kPanel + o] = o < outputs ? weight[o * blocks + b + k].scale : 0.0f;
      }
      for (int o = 0; o < kPanel; o += kLanes) {
        pack_block(weight + o * blocks + b + k, blocks, outputs - o,
                   panel.units + k * kParts * kBlockUnits * kPanel + o);
      }
    }
    for (Index t = 0; t < w.T; t += kTileRows) {
      const Index rows = w.T - t < kTileRows ? w.T - t : kTileRows;
      Lanes total[kTileRows][kTileRegisters] = {};
      for (Index k = 0; k < count; ++k) {
        const PanelBlock* const from = x + t * blocks + b + k;
        Ints sum[kTileRows][kTileRegisters];
        for (Index r = 0; r < kTileRows; ++r) {
          const std::int32_t begin = -kOffset * from[(r < rows ? r : 0) * blocks].sum;
          for (int v = 0; v < kTileRegisters; ++v) sum[r][v] = begin - Ints{};
        }
        multiply_tile<ByteProduct>(from->units, blocks * Index{sizeof(PanelBlock) / 4}, 1,
                                   panel.units + k * kParts * kBlockUnits * kPanel,
                                   kParts * kBlockUnits, sum);
        for (Index r = 0; r < rows; ++r) {
          for (int v = 0; v < kTileRegisters; ++v) {
            total[r][v] +=
                to_float(sum[r][v]) *
                (load<Lanes>(panel.scales + k * kPanel + v * kLanes) * from[r * blocks].scale);
          }
        }
      }
      for (Index r = 0; r < rows; ++r) {
        Lanes sum[1][kTileRegisters];
        float row[kPanel] = {};
        float* const to = y + (t + r) * y_stride;
        if (b > 0) std::memcpy(row, to, static_cast<std::size_t>(outputs) * sizeof(float));
        for (int v = 0; v < kTileRegisters; ++v) {
          sum[0][v] = load<Lanes>(row + v * kLanes) + total[r][v];
        }
        const bool is_last = b + count == blocks;
        if (is_last) remainder.make_whole(t + r, sum);
        for (int v = 0; v < kTileRegisters; ++v) {
          if (is_last) {
            const Index at = (t + r) * kPanel + v * kLanes;
            sum[0][v] = finished(gelu, sum[0][v], gate != nullptr ? gate + at : nullptr);
          }
          store(row + v * kLanes, sum[0][v]);
        }
        std::memcpy(to, row, static_cast<std::size_t>(outputs) * sizeof(float));
      }
    }
  }
}

template <class Block>
void by_byte_panels(const Fast& on, const LinearWork<Block>& w) {
  const Index blocks = blocks_of(w.I), panels = (w.O + kPanel - 1) / kPanel;
  const Index tiles =
      (w.T + kTileRows - 1) / kTileRows;  // rows behind the last are never summed up
  auto* const x = static_cast<PanelBlock*>(on.scratch(
      0, Scratch::rows, static_cast<std::size_t>(tiles * kTileRows * blocks) * sizeof(PanelBlock)));
  round_rows(on, w, x);
  for_each(on, panels, true, [&](Index p, int thread) {
    auto* const units = static_cast<std::uint32_t*>(
        on.scratch(thread, Scratch::panel,
                   static_cast<std::size_t>((kPanelUnits + kPanelBlocks) * kPanel) * 4));
    const BytePanel panel{units, reinterpret_cast<float*>(units + kPanelUnits * kPanel)};
    const Index o = p * kPanel;
    const int outputs = static_cast<int>(w.O - o < kPanel ? w.O - o : kPanel);
    float* gate = nullptr;
    if (w.gate != nullptr) {
      gate = static_cast<float*>(
          on.scratch(thread, Scratch::strip,
                     sizeof(float) * static_cast<std::size_t>((w.T + kTileRows) * kPanel)));
      multiply_strip(w, x, w.gate + o * blocks, {on, thread, w.gate_remainder, w.O, o, outputs},
                     outputs, panel, gate, kPanel, false, nullptr);
    }
    multiply_strip(w, x, w.weight + o * blocks, {on, thread, w.remainder, w.O, o, outputs}, outputs,
                   panel, w.y + o, w.y_stride, w.gelu, gate);
  });
}

template <class Block>
void by_byte_rows(const Fast& on, const LinearWork<Block>& w) {
  const Index blocks = blocks_of(w.I);
  auto* const x = static_cast<RowBlock*>(
      on.scratch(0, Scratch::rows, static_cast<std::size_t>(w.T * blocks) * sizeof(RowBlock)));
  round_rows(on, w, x);
  by_rows(on, w, x, blocks, blocks);
}

template <class Block>
void multiply_quantized(const Fast& on, const LinearWork<Block>& work) {
  if (is_small(work)) return by_byte_rows(on, work);
#if defined(PG_TILES)
  by_tile_registers(on, work);
#else
  by_byte_panels(on, work);
#endif
}

}  // namespace
}  // namespace paligemma
