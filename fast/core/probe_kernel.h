// The instructions that products are made of, at the highest rate: nothing is loaded.
#pragma once

#include <type_traits>

#include "fast/core/probe_work.h"
#include "fast/core/products.h"

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

constexpr ProbeKernels kProbeKernels{
    peak<FloatProduct>, peak<std::conditional_t<kBf16Dot, Bf16Product, FloatProduct>>,
    peak<std::conditional_t<kInt8Dot, Int8Product, Int16Product>>, read};

}  // namespace
}  // namespace paligemma
