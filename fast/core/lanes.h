// Lanes: a register's worth of floats, as a vector type of the compiler, for whatever instruction set a file is
// compiled for. The operators + - * work on all lanes at once, and a * b + c becomes one multiply-add where
// the processor has it.
//
// What kernels call is in an unnamed namespace or always inlined, and nothing of the standard library: a
// function compiled for a newer processor must not be the one that the linker gives to all.
#pragma once

#include <cstdint>
#include <cstring>
#include <utility>

#include "tensor/numbers.h"
#include "tensor/view.h"

#if defined(__F16C__)
#include <immintrin.h>
#endif

namespace paligemma {
namespace {

#if defined(__AVX512F__) || defined(PG_EMULATE_AVX512)
inline constexpr int kLanes = 16;
#elif defined(__AVX2__)
inline constexpr int kLanes = 8;
#else
inline constexpr int kLanes = 4;  // SSE2, NEON
#endif

template <class T>
using LanesOf __attribute__((vector_size(kLanes * sizeof(T)))) = T;

using Lanes = LanesOf<float>;
using Ints = LanesOf<std::int32_t>;
using Units = LanesOf<std::uint32_t>;  // 32 bits of anything: a float, two bf16, four bytes

template <class V, class T>
inline V load(const T* p) {
  V v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
template <class V, class T>
inline void store(T* p, V v) {
  std::memcpy(p, &v, sizeof v);
}
// Prefetches into L2 what a stream will read a page later.
inline void fetch_ahead(const void* p) {
  __builtin_prefetch(static_cast<const char*>(p) + 4096, 0, 2);
}
inline Lanes broadcast(float x) { return x - Lanes{}; }
inline Units broadcast(std::uint32_t x) { return x - Units{}; }

template <class To, class From>
inline To bits_as(From v) {
  static_assert(sizeof(To) == sizeof v);
  return reinterpret_cast<To>(v);
}
inline Lanes to_float(Ints v) { return __builtin_convertvector(v, Lanes); }

// kLanes neighbours, widened.
inline Lanes load_widened(const float* p) { return load<Lanes>(p); }
inline Lanes load_widened(const bf16* p) {
  const auto shorts = load<LanesOf<std::uint16_t>>(p);
  return bits_as<Lanes>(__builtin_convertvector(shorts, Units) << 16);
}
inline Lanes load_widened(const f16* p) {
#if defined(__F16C__) && defined(__AVX512F__)
  return bits_as<Lanes>(_mm512_cvtph_ps(load<__m256i>(p)));
#elif defined(__F16C__) && !defined(PG_EMULATE_AVX512)
  return bits_as<Lanes>(_mm256_cvtph_ps(load<__m128i>(p)));
#else
  Lanes v;
  for (int i = 0; i < kLanes; ++i) v[i] = widen(p[i]);
  return v;
#endif
}

// The two numbers of each unit, widened. bf16 is the upper half of a float.
inline Lanes lower(Units pair, bf16) { return bits_as<Lanes>(pair << 16); }
inline Lanes upper(Units pair, bf16) { return bits_as<Lanes>(pair & 0xffff'0000u); }
inline Lanes lower(Units pair, f16) {
  f16 halves[kLanes];
  store(halves, __builtin_convertvector(pair & 0xffffu, LanesOf<std::uint16_t>));
  return load_widened(halves);
}
inline Lanes upper(Units pair, f16 number) { return lower(pair >> 16, number); }

inline float sum_of(Lanes v) {
  float sum = 0;
  for (int i = 0; i < kLanes; ++i) sum += v[i];
  return sum;
}
inline float max_of(Lanes v) {
  float max = v[0];
  for (int i = 1; i < kLanes; ++i) max = v[i] > max ? v[i] : max;
  return max;
}
inline Lanes larger(Lanes a, Lanes b) { return a > b ? a : b; }

// Transposes a square: lane k of row i becomes lane i of row k.
template <int Distance, std::size_t... I>
inline void exchange(Units& a, Units& b, std::index_sequence<I...>) {
  const Units below =
      __builtin_shufflevector(a, b, (I & Distance ? kLanes + (I & ~std::size_t{Distance}) : I)...);
  b = __builtin_shufflevector(a, b, (I & Distance ? kLanes + I : I | Distance)...);
  a = below;
}
template <int Distance = 1>
inline void transpose(Units (&rows)[kLanes]) {
  if constexpr (Distance < kLanes) {
    for (int k = 0; k < kLanes; ++k) {
      if ((k & Distance) == 0) {
        exchange<Distance>(rows[k], rows[k + Distance], std::make_index_sequence<kLanes>());
      }
    }
    transpose<2 * Distance>(rows);
  }
}

// Lane i holds the sum of v[i].
inline Lanes sums_of(const Lanes (&v)[kLanes]) {
  Units columns[kLanes];
  for (int i = 0; i < kLanes; ++i) columns[i] = bits_as<Units>(v[i]);
  transpose(columns);
  Lanes sum = bits_as<Lanes>(columns[0]);
  for (int i = 1; i < kLanes; ++i) sum += bits_as<Lanes>(columns[i]);
  return sum;
}

}  // namespace
}  // namespace paligemma
