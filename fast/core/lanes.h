// Lanes: as many floats as one register holds, for which the compiler has the instructions of whatever
// processor a file is compiled for. The operators + - * work on all lanes at once, and a * b + c becomes
// one multiply-add where there is one.
#pragma once

#include <cstdint>
#include <cstring>

#include "tensor/numbers.h"
#include "tensor/view.h"

namespace paligemma {
namespace {  // each file that includes this is compiled for another processor

#if defined(__AVX512F__)
inline constexpr int kLanes = 16;
#elif defined(__AVX2__)
inline constexpr int kLanes = 8;
#else
inline constexpr int kLanes = 4;  // SSE2, NEON
#endif

typedef float Lanes __attribute__((vector_size(kLanes * sizeof(float))));
typedef std::uint32_t Bits __attribute__((vector_size(kLanes * sizeof(std::uint32_t))));
typedef std::uint16_t Shorts __attribute__((vector_size(kLanes * sizeof(std::uint16_t))));

template <class V, class T>
V load(const T* p) {
  V v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
inline void store(float* p, Lanes v) { std::memcpy(p, &v, sizeof v); }
inline Lanes broadcast(float x) { return x - Lanes{}; }

// kLanes neighbours, widened. bf16 is the upper half of a float.
inline Lanes load_widened(const float* p) { return load<Lanes>(p); }
inline Lanes load_widened(const bf16* p) {
  const Bits bits = __builtin_convertvector(load<Shorts>(p), Bits) << 16;
  Lanes v;
  std::memcpy(&v, &bits, sizeof v);
  return v;
}
inline Lanes load_widened(const f16* p) {
  Lanes v;
  for (int i = 0; i < kLanes; ++i) v[i] = widen(p[i]);
  return v;
}

inline float sum_of(Lanes v) {
  float sum = 0;
  for (int i = 0; i < kLanes; ++i) sum += v[i];
  return sum;
}

}  // namespace
}  // namespace paligemma
