// The rows of x as tile registers want them: rounded, as B, and cut into parts of the features.
#pragma once

#include "fast/core/amx.h"
#include "fast/core/parallel.h"
#include "fast/core/rounded_block.h"
#include "fast/core/tiles.h"
#include "fast/tensor/linear_work.h"

namespace paligemma {
namespace {

constexpr Index parts_of(Index n, Index size) { return (n + size - 1) / size; }
// The size of as few equal parts as have no more than `most` each.
constexpr Index even_part(Index n, Index most) { return parts_of(n, parts_of(n, most)); }

// Features of a step, steps of a block of quantised weights, elements of a row of I features.
template <class Weight>
constexpr Index kStepOf = Quantized<Weight> ? ByteTiles::kFeatures : Bf16Tiles::kFeatures;
constexpr Index kBlockSteps = kBlock / ByteTiles::kFeatures;
template <class Weight>
constexpr Index row_length(Index I) {
  return Quantized<Weight> ? blocks_of(I) : I;
}

// [parts][blocks of 16 tokens][steps] of tiles; for quantised weights also the scales, [blocks of features][blocks
// of tokens][16]. Tokens and features behind the last are zeros.
template <class Weight>
struct TiledRows {
  Index steps, blocks, part;  // `part`: steps of a part but the last, which may be shorter
  char* tiles;
  float* scales;

  TiledRows(const Fast& on, const LinearWork<Weight>& w, Index most)
      : steps(Quantized<Weight> ? blocks_of(w.I) * kBlockSteps : parts_of(w.I, kStepOf<Weight>)),
        blocks(parts_of(w.T, kTile)),
        part(Quantized<Weight> ? even_part(blocks_of(w.I), most / kBlockSteps) * kBlockSteps
                               : even_part(steps, most)) {
    const Index bytes = steps * blocks * kTileBytes;
    const Index all = bytes + Quantized<Weight> * steps * blocks * kTile * Index{sizeof(float)};
    tiles = static_cast<char*>(on.scratch(0, Scratch::rows, static_cast<std::size_t>(all)));
    scales = reinterpret_cast<float*>(tiles + bytes);
    for_each(
        on, blocks, true, [&](Index block, int) { fill(w, block); }, even_share(on, blocks));
  }

  Index steps_of(Index first) const { return steps - first < part ? steps - first : part; }
  char* at(Index first, Index block) const {  // `first` step of a part
    return tiles + (first * blocks + block * steps_of(first)) * kTileBytes;
  }
  float* scales_at(Index feature_block, Index block) const {
    return scales + (feature_block * blocks + block) * kTile;
  }

 private:
  // A step of 16 tokens, each the 64 bytes that row_of gives.
  template <class RowOf>
  static void put(const RowOf& row_of, char* tile) {
    Units square[kLanes];
    for (Index t = 0; t < kTile; ++t) square[t] = row_of(t);
    transpose(square);
    for (Index t = 0; t < kTile; ++t) store(tile + t * 64, square[t]);
  }

  void fill(const LinearWork<bf16>& w, Index block) const {
    for (Index first = 0; first < steps; first += part) {
      for (Index k = 0; k < steps_of(first); ++k) {
        const Index i = (first + k) * kStepOf<bf16>;
        const auto row = [&](Index t) {
          const Index token = block * kTile + t;
          return token < w.T ? round_to_bf16(w.x + token * w.I + i, w.I - i) : Units{};
        };
        put(row, at(first, block) + k * kTileBytes);
      }
    }
  }

  template <Quantized Block>
  void fill(const LinearWork<Block>& w, Index block) const {
    for (Index step = 0; step < steps; step += kBlockSteps) {
      const Index i = step * kStepOf<Block>, left = w.I - i;
      RoundedBlock rows[kTile] = {};
      for (Index t = 0; t < kTile && block * kTile + t < w.T; ++t) {
        const float* const x = w.x + (block * kTile + t) * w.I + i;
        rows[t] = round_block(x, left < kBlock ? left : kBlock);
      }
      const Index first = step / part * part;
      for (Index k = 0; k < kBlockSteps; ++k) {
        put([&](Index t) { return load<Units>(rows[t].bytes + k * 64); },
            at(first, block) + (step - first + k) * kTileBytes);
      }
      for (Index t = 0; t < kTile; ++t) scales_at(step / kBlockSteps, block)[t] = rows[t].scale;
    }
  }
};

}  // namespace
}  // namespace paligemma
