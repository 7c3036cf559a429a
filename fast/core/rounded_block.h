// A row of x, rounded to 8 bits with a scale for each block of 256 features, as products with quantised
// weights want it.
#pragma once

#include <type_traits>

#include "fast/core/products.h"
#include "tensor/quantized_linear.h"

namespace paligemma {
namespace {

using ByteProduct = std::conditional_t<kInt8Dot, Int8Product, Int16Product>;

constexpr Index kBlockUnits = kBlock / 4;            // 32 bits of weights, as the file has them
constexpr Index kParts = 4 / ByteProduct::kNumbers;  // a unit of bytes becomes so many of a product
constexpr int kWidth = kLanes < 8 ? 8 : kLanes;      // sums, so that each belongs to one group
constexpr int kSets = kWidth / kLanes;

// 256 features of a row of x.
struct alignas(64) RoundedBlock {
  // [kParts][kBlockUnits]: four bytes each; or the even bytes as short ints, then the odd ones.
  std::uint32_t units[kParts * kBlockUnits];
  std::int8_t bytes[kShortSums ? kBlock : 1];  // the same as bytes, where a product wants both
  std::int16_t offset[kShortSums ? 2 * kLanes : 1];  // -8 times the sums of pairs of them
  std::int32_t sum[kWidth];                          // of the numbers in units u, u + kWidth, ...
  std::int32_t sum_of_all;
  float scale;
};

RoundedBlock round_block(const float* x, Index count) {
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
  std::int8_t bytes[kBlock];
  for (Index i = 0; i < kBlock; i += kLanes) {
    constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
    const Ints rounded = bits_as<Ints>(load<Lanes>(x + i) * inverse + kRound);
    store(bytes + i, __builtin_convertvector(rounded, LanesOf<std::int8_t>));
  }
  Ints sums[kSets] = {};
  Shorts eight_times = {};
  for (Index u = 0; u < kBlockUnits; u += kLanes) {
    const Units four = load<Units>(bytes + 4 * u);
    if constexpr (kShortSums) {
      store(block.bytes + 4 * u, four);
      eight_times = short_dot(eight_times, four, broadcast(0x0808'0808u));
    }
    const Units even = even_bytes(four), odd = odd_bytes(four);
    if constexpr (kParts == 1) {
      store(block.units + u, four);
    } else {
      store(block.units + u, even);
      store(block.units + kBlockUnits + u, odd);
    }
    for (const Units part : {even, odd}) {
      const Ints pair = bits_as<Ints>(part);
      sums[u / kLanes % kSets] += (pair >> 16) + ((pair << 16) >> 16);
    }
  }
  if constexpr (kShortSums) store(block.offset, -eight_times);
  block.sum_of_all = 0;
  for (int s = 0; s < kSets; ++s) {
    store(block.sum + s * kLanes, sums[s]);
    for (int i = 0; i < kLanes; ++i) block.sum_of_all += sums[s][i];
  }
  return block;
}

// sum += four products for each lane: bytes of weights, without a sign where the instruction wants none,
// times unit u and the following of x.
inline Ints add_products(Ints sum, Units bytes, const RoundedBlock& x, Index u) {
  if constexpr (kParts == 1) return ByteProduct::dot(sum, load<Units>(x.units + u), bytes);
  sum = ByteProduct::dot(sum, load<Units>(x.units + u), even_bytes(bytes));
  return ByteProduct::dot(sum, load<Units>(x.units + kBlockUnits + u), odd_bytes(bytes));
}

}  // namespace
}  // namespace paligemma
