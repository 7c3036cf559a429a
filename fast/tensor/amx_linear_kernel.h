// Linear layers by AMX's tile registers, for more than a few tokens and weights of bf16, int8 and int4
// (docs/amx.md). Weights are A, 16 outputs by a step of features; x, rounded, is B, a step of features by 16
// tokens; so C is outputs by tokens, and is turned when it is stored.
//
//   panel   32 outputs, some steps of features     two A, packed beside the products of the panel before
//   turn    32 tokens                              two B: so four C, for which each A and B is used twice
//   part    of the features, if they are many      between parts the sums wait in memory
//   group   some panels                            whose sums are ended and written together
#pragma once

#include "fast/core/amx.h"
#include "fast/core/parallel.h"
#include "fast/tensor/amx_rows.h"
#include "fast/tensor/linear_epilogue.h"
#include "fast/tensor/linear_work.h"

namespace paligemma {
namespace {

constexpr Index kTilePanel = 2 * kTile;
constexpr Index kPartSteps = 72;  // 32 rows of so many steps stay in the second cache
constexpr Index kGroupPanels = 32;

// ---- weights ---------------------------------------------------------------------------------------

// A step of a row, and where it lies.
inline const void* place_of(const bf16* row, Index step) { return row + step * kStepOf<bf16>; }
inline Units line_of(const bf16* row, Index step, Index I) {
  const Index i = step * kStepOf<bf16>;
  return load_some(row + i, I - i);
}

inline const void* place_of(const Int8Block* row, Index step) {
  return row[step / kBlockSteps].q + step % kBlockSteps * 64;
}
inline Units line_of(const Int8Block* row, Index step, Index) {
  return load<Units>(static_cast<const std::int8_t*>(place_of(row, step)));
}

// The lower halves of the bytes hold the first two steps of a block, the upper ones the others.
inline const void* place_of(const Int4Block* row, Index step) {
  return row[step / kBlockSteps].pair + step % 2 * 64;
}
inline Units line_of(const Int4Block* row, Index step, Index) {
  const Units pairs = load<Units>(static_cast<const std::uint8_t*>(place_of(row, step)));
  const Units n = (step % kBlockSteps < 2 ? pairs : pairs >> 4) & kLowBits;
  const Ints factor = factors(row[step / kBlockSteps], 0);
  const auto f = bits_as<Shorts>((factor & 0xffff) | (factor << 16));
  constexpr std::uint32_t kEven = 0x00ff'00ff;
  const auto times = [&](Units bytes) {
    return bits_as<Units>(bits_as<Shorts>(bytes & kEven) * f - f * 8) & kEven;
  };
  return times(n) | times(n >> 8) << 8;
}

// A packed part of a panel: [2][steps] tiles without gaps, and behind them, of quantised weights, the scales
// [blocks][32]. Where there are no outputs and no features it has zeros.
struct Panel {
  char* tiles;
  Index steps;

  Index other() const { return steps * kTileBytes; }
  float* scales(Index block) const {
    return reinterpret_cast<float*>(tiles + 2 * other()) + block * kTilePanel;
  }
  static Index bytes(Index steps) {
    return 2 * steps * kTileBytes + steps * kTilePanel * Index{sizeof(float)};
  }
};

// Fills a panel a line of four rows at a time: memory gives four pages at a time faster than one. The processor's
// prefetcher runs ahead in each row once it has seen some of it, so only the beginning of the four rows behind is
// fetched by hand.
template <class Weight>
class PanelPacker {
 public:
  PanelPacker() = default;
  PanelPacker(const Weight* weight, Index I, Index outputs, Index first, Panel to)
      : weight_(weight), I_(I), outputs_(outputs), first_(first), to_(to), row_(0) {}

  void pack_some() {
    if (row_ == kTilePanel) return;
    for (Index r = row_; r < row_ + kRows; ++r) {
      const Weight* const row = weight_ + r * row_length<Weight>(I_);
      const Index step = first_ + line_;
      if (to_.steps - line_ <= kFetched) {
        __builtin_prefetch(
            place_of(row + kRows * row_length<Weight>(I_), step - (to_.steps - kFetched)), 0, 2);
      }
      const bool exists = r < outputs_;
      store(to_.tiles + r / kTile * to_.other() + line_ * kTileBytes + r % kTile * 64,
            exists ? line_of(row, step, I_) : Units{});
      if constexpr (Quantized<Weight>) {
        to_.scales(line_ / kBlockSteps)[r] = exists ? row[step / kBlockSteps].scale : 0.0f;
      }
    }
    if (++line_ == to_.steps) line_ = 0, row_ += kRows;
  }
  void pack_rest() {
    while (row_ < kTilePanel) pack_some();
  }

 private:
  static constexpr Index kRows = 4, kFetched = 16;

  const Weight* weight_ = nullptr;
  Index I_ = 0, outputs_ = 0, first_ = 0;
  Panel to_{};
  Index row_ = kTilePanel, line_ = 0;
};

// ---- a panel times a turn --------------------------------------------------------------------------

template <int Columns>
inline void multiply_turn(const TiledRows<bf16>& x, Index first, Index turn, const Panel& panel,
                          char* sums, PanelPacker<bf16>& next) {
  first == 0 ? zero_sums<Columns>() : load_sums<Columns>({sums});
  multiply_tiles<Bf16Tiles, Stays::a, Columns>({panel.tiles, panel.other()},
                                               {x.at(first, 2 * turn), panel.other()}, panel.steps,
                                               [&] { next.pack_some(); });
  store_sums<Columns>({sums});
}

// The sums of a block are integers, and exact; times the scales of its outputs and tokens they are added up as
// floats.
template <int Columns>
inline void add_block(const char* products, const float* output_scales,
                      const float* (&token_scales)[2], bool is_first, char* sums) {
  for (int tile = 0; tile < 4; ++tile) {
    if (Columns == 1 && tile % 2 == 1) continue;
    const auto* const from = reinterpret_cast<const std::int32_t*>(products + tile * kTileBytes);
    auto* const to = reinterpret_cast<float*>(sums + tile * kTileBytes);
    const float* const scale = output_scales + tile / 2 * kTile;
    const Lanes tokens = load<Lanes>(token_scales[tile % 2]);
#pragma GCC unroll 16
    for (Index o = 0; o < kTile; ++o) {
      const Lanes before = is_first ? Lanes{} : load<Lanes>(to + o * kTile);
      store(to + o * kTile, before + to_float(load<Ints>(from + o * kTile)) * (tokens * scale[o]));
    }
  }
}

template <int Columns, Quantized Block>
inline void multiply_turn(const TiledRows<Block>& x, Index first, Index turn, const Panel& panel,
                          char* sums, PanelPacker<Block>& next) {
  alignas(64) char products[kSumBytes];
  const char* const b = x.at(first, 2 * turn);
  for (Index step = 0; step < panel.steps; step += kBlockSteps) {
    zero_sums<Columns>();
    multiply_tiles<ByteTiles, Stays::a, Columns>({panel.tiles + step * kTileBytes, panel.other()},
                                                 {b + step * kTileBytes, panel.other()},
                                                 kBlockSteps, [&] { next.pack_some(); });
    store_sums<Columns>({products});
    const Index block = (first + step) / kBlockSteps;
    const float* scales[2] = {x.scales_at(block, 2 * turn),
                              x.scales_at(block, 2 * turn + Columns - 1)};
    add_block<Columns>(products, panel.scales(step / kBlockSteps), scales, first + step == 0, sums);
  }
}

// ---- groups ----------------------------------------------------------------------------------------

// Outputs o, o + 1, ... of a layer and of its gate, for all tokens.
struct Group {
  Index o, outputs, turns;
  char* panel[2];  // one is multiplied while the other is filled
  char* sums;      // [layer, gate][panels][turns] of C, as floats

  Index panels() const { return parts_of(outputs, kTilePanel); }
  char* sums_at(Index layer, Index p, Index turn) const {
    return sums + ((layer * panels() + p) * turns + turn) * kSumBytes;
  }
};

// For the layer and its gate, part of the features by part, panel by panel.
template <class Weight>
void sum_group(const LinearWork<Weight>& w, const TiledRows<Weight>& x, const Group& group) {
  const Index panels = group.panels(), parts = parts_of(x.steps, x.part);
  const Index all = (w.gate != nullptr ? 2 : 1) * parts * panels;
  const auto first_of = [&](Index n) { return n / panels % parts * x.part; };
  const auto panel_of = [&](Index n) { return Panel{group.panel[n % 2], x.steps_of(first_of(n))}; };
  const auto packer = [&](Index n) {
    if (n == all) return PanelPacker<Weight>();
    const Weight* const weight = n < parts * panels ? w.weight : w.gate;
    const Index o = n % panels * kTilePanel;
    return PanelPacker<Weight>(weight + (group.o + o) * row_length<Weight>(w.I), w.I,
                               group.outputs - o, first_of(n), panel_of(n));
  };
  PanelPacker<Weight> next = packer(0);
  for (Index n = 0; n < all; ++n) {
    next.pack_rest();
    next = packer(n + 1);
    for (Index turn = 0; turn < group.turns; ++turn) {
      char* const sums = group.sums_at(n / (parts * panels), n % panels, turn);
      if (2 * turn + 1 < x.blocks) {
        multiply_turn<2>(x, first_of(n), turn, panel_of(n), sums, next);
      } else {
        multiply_turn<1>(x, first_of(n), turn, panel_of(n), sums, next);
      }
    }
  }
}

// What an adapter multiplies by its b, of tokens t to t + 15: [rank, 16], zeros behind the last token.
inline void turn_low(const Remainder& w, Index t, Index T, float* low) {
  for (Index k = 0; k < w.rank; ++k) {
    for (Index r = 0; r < kTile; ++r) {
      low[k * kTile + r] = t + r < T ? w.low[(t + r) * w.rank + k] : 0.0f;
    }
  }
}

// The sums of an output for these tokens.
inline Lanes whole(const Remainder& w, Index O, Index o, const float* low, Lanes sum) {
  if (w.magnitude != nullptr) sum *= w.magnitude[o];
  if (w.bias != nullptr) sum += w.bias[o];
  for (Index k = 0; k < w.rank; ++k) sum += load<Lanes>(low + k * kTile) * w.b[k * O + o];
  return sum;
}

// Ends the sums of outputs o to o + outputs - 1 for 16 tokens, turns them and writes them to y. `low` has lines of the
// layer's low, then of the gate's.
template <class Weight>
inline void end_tile(const LinearWork<Weight>& w, Index o, Index outputs, const char* sums,
                     const char* gate_sums, const float* low, Index t) {
  Units rows[kTile] = {};
#pragma GCC unroll 16
  for (Index k = 0; k < kTile; ++k) {
    if (k >= outputs) break;
    const auto sum_of = [&](const char* c, const Remainder& remainder, const float* lines) {
      return whole(remainder, w.O, o + k, lines, load<Lanes>(c + 64 * k));
    };
    const Lanes sum = sum_of(sums, w.remainder, low);
    const auto gate = [&] {
      return sum_of(gate_sums, w.gate_remainder, low + w.remainder.rank * kTile);
    };
    rows[k] = bits_as<Units>(gate_sums == nullptr ? bent(w.gelu, sum) : bent(w.gelu, gate()) * sum);
  }
  transpose(rows);
  for (Index r = 0; r < kTile && t + r < w.T; ++r) {
    store_some(w.y + (t + r) * w.y_stride + o, rows[r], outputs);
  }
}

// Block of tokens by block, so that rows of y are written in runs.
template <class Weight>
void end_group(const Fast& on, int thread, const LinearWork<Weight>& w, const Group& group) {
  const Index lines = w.remainder.rank + w.gate_remainder.rank;
  auto* const low = static_cast<float*>(on.scratch(
      thread, Scratch::adapter, sizeof(float) * static_cast<std::size_t>(lines * kTile)));
  for (Index block = 0; block * kTile < w.T; ++block) {
    turn_low(w.remainder, block * kTile, w.T, low);
    turn_low(w.gate_remainder, block * kTile, w.T, low + w.remainder.rank * kTile);
    for (Index k = 0; k < group.outputs; k += kTile) {
      const Index left = group.outputs - k;
      const auto tile = [&](Index layer) {
        return group.sums_at(layer, k / kTilePanel, block / 2) +
               (2 * (k / kTile % 2) + block % 2) * kTileBytes;
      };
      end_tile(w, group.o + k, left < kTile ? left : kTile, tile(0),
               w.gate != nullptr ? tile(1) : nullptr, low, block * kTile);
    }
  }
}

template <class Weight>
void by_tile_registers(const Fast& on, const LinearWork<Weight>& w) {
  const TiledRows<Weight> x(on, w, kPartSteps);
  const Index panels = parts_of(w.O, kTilePanel), share = parts_of(panels, on.threads());
  const Index at_a_time = even_part(share, kGroupPanels);
  const Index width = at_a_time * kTilePanel, turns = parts_of(x.blocks, 2);
  const Index panel_bytes = Panel::bytes(x.part);
  const Index sum_bytes = (w.gate != nullptr ? 2 : 1) * at_a_time * turns * kSumBytes;
  for_each(on, parts_of(panels, at_a_time), true, [&](Index g, int thread) {
    auto* const scratch = static_cast<char*>(
        on.scratch(thread, Scratch::panel, static_cast<std::size_t>(2 * panel_bytes + sum_bytes)));
    const Index o = g * width;
    const Group group{o,
                      w.O - o < width ? w.O - o : width,
                      turns,
                      {scratch, scratch + panel_bytes},
                      scratch + 2 * panel_bytes};
    const TileRegisters registers;
    sum_group(w, x, group);
    end_group(on, thread, w, group);
  });
}

}  // namespace
}  // namespace paligemma
