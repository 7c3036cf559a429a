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
  const auto underflows = x < kLowest;
  x = x < kLowest ? broadcast(kLowest) : x;
  x = x > kHighest ? broadcast(kHighest) : x;
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  const Lanes shifted = x * 1.442695041f + kRound;
  const Lanes n = shifted - kRound;
  const Lanes r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
  Lanes sum = r * (1.0f / 5040) + (1.0f / 720);
  sum = sum * r + (1.0f / 120);
  sum = sum * r + (1.0f / 24);
  sum = sum * r + (1.0f / 6);
  sum = sum * r + 0.5f;
  sum = sum * r + 1.0f;
  sum = sum * r + 1.0f;
  const Units exponent = bits_as<Units>(shifted) << 23;  // n, where a float has its exponent
  const Lanes power = bits_as<Lanes>(bits_as<Units>(sum) + exponent);
  return underflows ? Lanes{} : (x == x ? power : x);  // a NaN stays one
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

// tensor/gelu.h's tanh form: 0.5 x (1 + tanh u) = x / (1 + e^-2u), u = sqrt(2/pi) (x + 0.044715 x^3).
inline Lanes gelu_tanh(Lanes x) {
  const Lanes u = 0.7978845608f * x * (1.0f + 0.044715f * x * x);
  return x / (1.0f + exp(-2.0f * u));
}

}  // namespace
}  // namespace paligemma
