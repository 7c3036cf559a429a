// The instructions that products are made of, at the highest rate: nothing is loaded.
#pragma once

#include <type_traits>

#include "fast/core/probe_work.h"
#include "fast/core/products.h"
#if defined(PG_TILES)
#include "fast/core/amx.h"
#endif

namespace paligemma {
namespace {

// Hides from the compiler what v holds.
template <class V>
inline void keep(V& v) {
#if defined(__x86_64__) && !defined(PG_EMULATE_AVX512)
  asm volatile("" : "+v"(v));
#else
  asm volatile("" : "+m"(v));
#endif
}

template <class Product>
double peak(Index rounds) {
  constexpr int kSums = 12;  // more than an addition's latency hides behind
  typename Product::Sum sum[kSums] = {};
  Units x = {}, w = {};
  keep(w);
  for (Index i = 0; i < rounds; ++i) {
    for (int k = 0; k < kSums; ++k) {
      keep(x);  // or one product would serve several sums
      sum[k] = Product::dot(sum[k], x, w);
    }
  }
  for (auto& s : sum) keep(s);
  return 2.0 * static_cast<double>(rounds) * kSums * kLanes * Product::kNumbers;
}

#if defined(PG_TILES)
template <class Tiles>
double tile_peak(Index rounds) {
  const TileRegisters registers;
  rounds /= 16;  // of 64 cycles each
  for (Index i = 0; i < rounds; ++i) {
    Tiles::template multiply<0, 4, 6>();
    Tiles::template multiply<1, 4, 7>();
    Tiles::template multiply<2, 5, 6>();
    Tiles::template multiply<3, 5, 7>();
  }
  return 2.0 * static_cast<double>(rounds * 4 * kTile * kTile * Tiles::kFeatures);
}
#endif

// One stream, with several sums, so that only memory limits it.
double read(const std::byte* memory, Index bytes) {
  constexpr Index kStep = 8 * Index{sizeof(Units)};
  Units sum[8] = {};
  for (Index i = 0; i + kStep <= bytes; i += kStep) {
    for (int s = 0; s < 8; ++s) sum[s] ^= load<Units>(memory + i + s * Index{sizeof(Units)});
  }
  for (auto& s : sum) keep(s);
  return static_cast<double>(bytes);
}

#if defined(PG_TILES)
constexpr ProbeKernels kProbeKernels{peak<FloatProduct>, tile_peak<Bf16Tiles>, tile_peak<ByteTiles>,
                                     read};
#else
constexpr ProbeKernels kProbeKernels{
    peak<FloatProduct>, peak<std::conditional_t<kBf16Dot, Bf16Product, FloatProduct> >,
    peak<std::conditional_t<kInt8Dot, Int8Product, Int16Product> >, read};
#endif

}  // namespace
}  // namespace paligemma
