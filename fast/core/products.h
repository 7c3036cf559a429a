// The arithmetic of a product: what 32 bits hold, and the instruction that multiplies them and adds to the
// sums.
//
//   FloatProduct   1 float        multiply-add                      every processor
//   Bf16Product    2 bf16         vdpbf16ps                         AVX-512 with BF16
//   Int16Product   2 short ints   pmaddwd                           every processor: for 8-bit numbers
//   Int8Product    4 bytes        vpdpbusd, unsigned times signed   AVX-512 with VNNI
//
// kBf16Dot and kInt8Dot say which the including file's processor has. With PG_EMULATE_AVX512 both are
// written out in C++, so that all but the two instructions themselves is tested on any machine.
#pragma once

#include "fast/core/lanes.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace paligemma {
namespace {

#if defined(__AVX512BF16__) || defined(PG_EMULATE_AVX512)
inline constexpr bool kBf16Dot = true;
#else
inline constexpr bool kBf16Dot = false;
#endif
#if defined(__AVX512VNNI__) || defined(PG_EMULATE_AVX512)
inline constexpr bool kInt8Dot = true;
#else
inline constexpr bool kInt8Dot = false;
#endif

// Whether there are tile registers, which multiply many rows of bf16 and of bytes (fast/core/amx.h).
#if defined(PG_AMX) || defined(PG_EMULATE_AMX)
#define PG_TILES
inline constexpr bool kHasTiles = true;
#else
inline constexpr bool kHasTiles = false;
#endif

struct FloatProduct {
  using Sum = Lanes;
  static constexpr int kNumbers = 1;  // in 32 bits
  static Lanes dot(Lanes sum, Units x, Units w) {
    return sum + bits_as<Lanes>(x) * bits_as<Lanes>(w);
  }
};

struct Bf16Product {
  using Sum = Lanes;
  static constexpr int kNumbers = 2;
  static Lanes dot(Lanes sum, Units x, Units w) {
#if defined(__AVX512BF16__)
    return bits_as<Lanes>(
        _mm512_dpbf16_ps(bits_as<__m512>(sum), bits_as<__m512bh>(x), bits_as<__m512bh>(w)));
#else
    sum += upper(x, bf16{}) * upper(w, bf16{});
    return sum + lower(x, bf16{}) * lower(w, bf16{});
#endif
  }
};

using Shorts = std::int16_t __attribute__((vector_size(sizeof(Units))));

// pmaddubsw of AVX2: unsigned bytes of w times signed bytes of x, and the sums of neighbours in 16 bits.
#if defined(__AVX2__) && !defined(__AVX512F__) && !defined(PG_EMULATE_AVX512)
inline constexpr bool kShortSums = true;
inline Shorts short_dot(Units x, Units w) {
  return bits_as<Shorts>(_mm256_maddubs_epi16(bits_as<__m256i>(w), bits_as<__m256i>(x)));
}
// For signed bytes, none of them -128: |w| times x with the sign of w.
inline Ints signed_dot(Ints sum, Units x, Units w) {
  const __m256i bytes = bits_as<__m256i>(w);
  const __m256i pairs =
      _mm256_maddubs_epi16(_mm256_abs_epi8(bytes), _mm256_sign_epi8(bits_as<__m256i>(x), bytes));
  return sum + bits_as<Ints>(_mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
// The two sums of lane j, times factor[j].
inline Ints scaled_pairs(Shorts v, const std::int8_t* factor) {
  const __m128i twice = _mm_set_epi64x(0x0707'0606'0505'0404, 0x0303'0202'0101'0000);
  const __m128i factors = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(factor));
  return bits_as<Ints>(_mm256_madd_epi16(bits_as<__m256i>(v),
                                         _mm256_cvtepi8_epi16(_mm_shuffle_epi8(factors, twice))));
}
#else
inline constexpr bool kShortSums = false;
inline Shorts short_dot(Units, Units) { return Shorts{}; }
inline Ints signed_dot(Ints sum, Units, Units) { return sum; }
inline Ints scaled_pairs(Shorts, const std::int8_t*) { return Ints{}; }
#endif

// The even and the odd bytes of each unit as signed short ints.
inline Units even_bytes(Units v) { return bits_as<Units>((bits_as<Shorts>(v) << 8) >> 8); }
inline Units odd_bytes(Units v) { return bits_as<Units>(bits_as<Shorts>(v) >> 8); }

inline Ints sums_of_bytes(Units v) {
  const Ints even = bits_as<Ints>(even_bytes(v)), odd = bits_as<Ints>(odd_bytes(v));
  return (even >> 16) + ((even << 16) >> 16) + (odd >> 16) + ((odd << 16) >> 16);
}

struct Int16Product {
  using Sum = Ints;
  static constexpr int kNumbers = 2;
  static Ints dot(Ints sum, Units x, Units w) {
#if defined(__AVX2__) && !defined(PG_EMULATE_AVX512) && !defined(__AVX512F__)
    return sum + bits_as<Ints>(_mm256_madd_epi16(bits_as<__m256i>(x), bits_as<__m256i>(w)));
#elif defined(__SSE2__) && !defined(__AVX2__) && !defined(PG_EMULATE_AVX512)
    return sum + bits_as<Ints>(_mm_madd_epi16(bits_as<__m128i>(x), bits_as<__m128i>(w)));
#else
    const Ints a = bits_as<Ints>(x), b = bits_as<Ints>(w);
    return sum + (a >> 16) * (b >> 16) + ((a << 16) >> 16) * ((b << 16) >> 16);
#endif
  }
};

struct Int8Product {
  using Sum = Ints;
  static constexpr int kNumbers = 4;
  static Ints dot(Ints sum, Units x, Units w) {  // x is signed, w is not
#if defined(__AVX512VNNI__)
    return bits_as<Ints>(
        _mm512_dpbusd_epi32(bits_as<__m512i>(sum), bits_as<__m512i>(w), bits_as<__m512i>(x)));
#else
    for (int byte = 0; byte < 4; ++byte) {
      const Ints signed_x = (bits_as<Ints>(x) << (24 - 8 * byte)) >> 24;
      sum += signed_x * bits_as<Ints>((w >> (8 * byte)) & 0xffu);
    }
    return sum;
#endif
  }
};

}  // namespace
}  // namespace paligemma
