// A row of x for products with quantised weights: rounded to 8 bits, with a scale for each block of 256
// features.
#pragma once

#include <type_traits>

#include "fast/core/products.h"
#include "tensor/quantized_linear.h"

namespace paligemma {
namespace {

using ByteProduct = std::conditional_t<kInt8Dot, Int8Product, Int16Product>;

constexpr Index kBlockUnits = kBlock / 4;            // 32 bits of weights, as the file has them
constexpr Index kParts = 4 / ByteProduct::kNumbers;  // a unit of bytes becomes so many of a product
constexpr Index kRowParts = kShortSums ? 1 : kParts;
constexpr int kWidth = kLanes < 8 ? 8 : kLanes;  // sums, so that each belongs to one group
constexpr int kSets = kWidth / kLanes;

// Of an Int4Block: the first of a byte's two numbers, and factors, of which lane j holds that of group j % 8.
constexpr std::uint32_t kLowBits = 0x0f0f'0f0f;
inline Ints factors(const Int4Block& w, int set) {
  std::int8_t some[kLanes];
  for (int j = 0; j < kLanes; j += 8) {
    std::memcpy(some + j, w.factor + set * kLanes % 8, kLanes < 8 ? kLanes : 8);
  }
  return __builtin_convertvector(load<LanesOf<std::int8_t>>(some), Ints);
}

struct RoundedBlock {
  std::int8_t bytes[kBlock];
  float scale;
};

inline RoundedBlock round_block(const float* x, Index count) {
  float numbers[kBlock];
  if (count < kBlock) {
    for (Index i = 0; i < kBlock; ++i) numbers[i] = i < count ? x[i] : 0.0f;
    x = numbers;
  }
  Lanes largest = {};
  for (Index i = 0; i < kBlock; i += kLanes) {
    const Lanes v = load<Lanes>(x + i);
    largest = larger(largest, v < 0 ? -v : v);
  }
  RoundedBlock block;
  block.scale = max_of(largest) / 127;
  const float inverse = block.scale > 0 ? 1 / block.scale : 0;
  for (Index i = 0; i < kBlock; i += kLanes) {
    constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
    const Ints rounded = bits_as<Ints>(load<Lanes>(x + i) * inverse + kRound);
    store(block.bytes + i, __builtin_convertvector(rounded, LanesOf<std::int8_t>));
  }
  return block;
}

// Four bytes each; or, in two parts, the even bytes as short ints, then the odd ones.
template <Index Parts>
inline void put_units(Units bytes, std::uint32_t* to) {
  store(to, Parts == 1 ? bytes : even_bytes(bytes));
  if constexpr (Parts == 2) store(to + kBlockUnits, odd_bytes(bytes));
}

// The form for a few tokens. It is small, because many rows of weights are read between two uses of it.
struct alignas(64) RowBlock {
  std::uint32_t units[kRowParts * kBlockUnits];
  std::int16_t offset[kShortSums ? 2 * kLanes : 1];  // -8 times the sums of pairs
  std::int32_t sum[kShortSums ? 1 : kWidth];         // of the numbers in units u, u + kWidth, ...
  float scale;

  RowBlock(const float* x, Index count) {
    const RoundedBlock rounded = round_block(x, count);
    scale = rounded.scale;
    Ints sums[kSets] = {};
    Shorts eight_times = {};
    for (Index u = 0; u < kBlockUnits; u += kLanes) {
      const Units four = load<Units>(rounded.bytes + 4 * u);
      put_units<kRowParts>(four, units + u);
      eight_times += short_dot(four, broadcast(0x0808'0808u));
      sums[u / kLanes % kSets] += sums_of_bytes(four);
    }
    if constexpr (kShortSums) {
      store(offset, -eight_times);
    } else {
      for (int s = 0; s < kSets; ++s) store(sum + s * kLanes, sums[s]);
    }
  }
};

// The form for many tokens.
struct alignas(64) PanelBlock {
  std::uint32_t units[kParts * kBlockUnits];
  std::int32_t sum = 0;  // of all numbers
  float scale;

  PanelBlock(const float* x, Index count) {
    const RoundedBlock rounded = round_block(x, count);
    scale = rounded.scale;
    Ints sums = {};
    for (Index u = 0; u < kBlockUnits; u += kLanes) {
      const Units four = load<Units>(rounded.bytes + 4 * u);
      put_units<kParts>(four, units + u);
      sums += sums_of_bytes(four);
    }
    for (int i = 0; i < kLanes; ++i) sum += sums[i];
  }
};

// Units u, u + 1, ... of x, in the form that add_products() takes.
struct RowUnits {
  Units first, second;
  RowUnits(const RowBlock& x, Index u)
      : first(load<Units>(x.units + u)),
        second(load<Units>(x.units + (kRowParts - 1) * kBlockUnits + u)) {}
};

// sum += four products of bytes for each lane. Weights are unsigned where the instruction takes them so.
inline Ints add_products(Ints sum, Units bytes, const RowUnits& x) {
  if constexpr (kShortSums) return signed_dot(sum, x.first, bytes);
  if constexpr (kParts == 1) return ByteProduct::dot(sum, x.first, bytes);
  return ByteProduct::dot(ByteProduct::dot(sum, x.first, even_bytes(bytes)), x.second,
                          odd_bytes(bytes));
}

}  // namespace
}  // namespace paligemma
