// Functions of all lanes at once.
#pragma once

#include "fast/core/lanes.h"

namespace paligemma {
namespace {

// e^x, within 2 ulp; 0 below -87.3, where floats end; e^88 above 88.
//
//   x = n ln 2 + r, |r| <= ln 2 / 2        e^x = 2^n e^r
//
// ln 2 is subtracted in two parts, of which n times the first is exact; e^r is its series up to r^7 / 7!.
inline Lanes exp(Lanes x) {
  constexpr float kLowest = -87.33f, kHighest = 88.0f;
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  const Lanes below = x > kHighest ? broadcast(kHighest) : x;
  const Lanes shifted = below * 1.442695041f + kRound;
  const Lanes n = shifted - kRound;
  const Lanes r = (below - n * 0.693359375f) - n * -2.12194440e-4f;
  Lanes sum = r * (1.0f / 5040) + (1.0f / 720);
  sum = sum * r + (1.0f / 120);
  sum = sum * r + (1.0f / 24);
  sum = sum * r + (1.0f / 6);
  sum = sum * r + 0.5f;
  sum = sum * r + 1.0f;
  sum = sum * r + 1.0f;
#if defined(__AVX512F__)
  const __mmask16 is_there =
      _mm512_cmp_ps_mask(bits_as<__m512>(x), _mm512_set1_ps(kLowest), _CMP_NLT_UQ);
  return bits_as<Lanes>(_mm512_maskz_scalef_ps(is_there, bits_as<__m512>(sum), bits_as<__m512>(n)));
#else
  const Units exponent = bits_as<Units>(shifted) << 23;  // n, where a float has its exponent
  const Lanes power = bits_as<Lanes>(bits_as<Units>(sum) + exponent);
  return x < kLowest ? Lanes{} : (x == x ? power : x);  // a NaN stays one
#endif
}

// (e^2x - 1) / (e^2x + 1), written so that nothing overflows. Near 0 that would lose digits, so there it is
// the series.
inline Lanes tanh(Lanes x) {
  const Lanes magnitude = x < 0 ? -x : x;
  const Lanes e = exp(magnitude * -2.0f);
  const Lanes far = (1.0f - e) / (1.0f + e);
  const Lanes s = x * x;
  const Lanes near = x * (1.0f + s * (-1.0f / 3 + s * (2.0f / 15 + s * (-17.0f / 315))));
  return magnitude < 0.1f ? near : (x < 0 ? -far : far);
}

// 1 / x, within 1 ulp, of 1 <= x <= 2^126: an estimate of 14 bits and a step of Newton's are faster than a division.
inline Lanes reciprocal(Lanes x) {
#if defined(__AVX512F__)
  const Lanes estimate = bits_as<Lanes>(_mm512_rcp14_ps(bits_as<__m512>(x)));
  return estimate * (2.0f - x * estimate);
#else
  return 1.0f / x;
#endif
}

// tensor/gelu.h's tanh form: 0.5 x (1 + tanh u) = x share, share = 1 / (1 + e^-2u), u = sqrt(2/pi) (x + 0.044715 x^3).
inline Lanes gelu_share(Lanes x) {
  const Lanes minus_2u = x * (-1.5957691216f - 0.0713548163f * (x * x));
  const Lanes share = reciprocal(1.0f + exp(minus_2u));
  return minus_2u < 87.0f ? share : Lanes{};  // before e^-2u ends
}
inline Lanes gelu_tanh(Lanes x) { return x * gelu_share(x); }

// Its slope: share + x 2 u' share (1 - share).
inline Lanes gelu_slope_of(Lanes x, Lanes share) {
  const Lanes twice_slope_of_u = 1.5957691216f + 0.2140644488f * (x * x);
  return share + x * share * (1.0f - share) * twice_slope_of_u;
}

}  // namespace
}  // namespace paligemma
