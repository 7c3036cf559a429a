// The number types that weights are stored in: float, bf16 and f16. The two short ones are how
// numbers are stored, not how they are summed: sums are float, and docs/numerics.md says what is
// rounded on its way into them. `widen` and `narrow` are the reference's conversions.
//
//   float  s eeeeeeee mmmmmmmmmmmmmmmmmmmmmmm
//   bf16   s eeeeeeee mmmmmmm                   the upper half of a float; 1 ulp at 1.0 is 2^-7
//   f16    s eeeee mmmmmmmmmm                   IEEE binary16; 1 ulp at 1.0 is 2^-10, at most 65504
#pragma once

#include <cstdint>

#include "tensor/host_device.h"

namespace paligemma {

struct bf16 {
  std::uint16_t bits;
};

struct f16 {
  std::uint16_t bits;
};

// Always inlined: kernels for newer processors call them, and must not share their copy with others.
[[gnu::always_inline]] PG_HOST_DEVICE constexpr float widen(float x) { return x; }

[[gnu::always_inline]] PG_HOST_DEVICE constexpr float widen(bf16 x) {
  return __builtin_bit_cast(float, static_cast<std::uint32_t>(x.bits) << 16);
}

// Move exponent and mantissa to their places in a float, then correct the exponent's bias (15
// against 127) by a multiplication, which is exact and makes subnormals right as well.
[[gnu::always_inline]] PG_HOST_DEVICE constexpr float widen(f16 x) {
  const std::uint32_t sign = static_cast<std::uint32_t>(x.bits & 0x8000u) << 16;
  const std::uint32_t magnitude = static_cast<std::uint32_t>(x.bits & 0x7fffu) << 13;
  const bool is_inf_or_nan = (x.bits & 0x7c00u) == 0x7c00u;
  const float value = __builtin_bit_cast(float, magnitude) * 0x1p112f;
  const std::uint32_t bits =
      is_inf_or_nan ? (magnitude | 0x7f80'0000u) : __builtin_bit_cast(std::uint32_t, value);
  return __builtin_bit_cast(float, bits | sign);
}

template <class T>
PG_HOST_DEVICE constexpr T narrow(float x);

template <>
PG_HOST_DEVICE constexpr float narrow<float>(float x) {
  return x;
}

// Rounds to nearest, ties to even, as the hardware does. A NaN stays a (quiet) NaN.
template <>
PG_HOST_DEVICE constexpr bf16 narrow<bf16>(float x) {
  const std::uint32_t bits = __builtin_bit_cast(std::uint32_t, x);
  if ((bits & 0x7fff'ffffu) > 0x7f80'0000u) {
    return {static_cast<std::uint16_t>((bits >> 16) | 0x0040u)};
  }
  const std::uint32_t ties_to_even = 0x7fffu + ((bits >> 16) & 1u);
  return {static_cast<std::uint16_t>((bits + ties_to_even) >> 16)};
}

template <>
PG_HOST_DEVICE constexpr f16 narrow<f16>(float x) {
  const std::uint32_t bits = __builtin_bit_cast(std::uint32_t, x);
  const std::uint32_t magnitude = bits & 0x7fff'ffffu;
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000u);
  const auto with_sign = [sign](std::uint32_t m) {
    return f16{static_cast<std::uint16_t>(sign | m)};
  };
  if (magnitude > 0x7f80'0000u) return with_sign(0x7e00u);   // NaN
  if (magnitude >= 0x477f'f000u) return with_sign(0x7c00u);  // rounds past 65504: infinity
  if (magnitude < 0x3880'0000u) {
    // Below 2^-14 the result is a multiple of 2^-24, and so is the last bit of a float near 0.5:
    // adding 0.5 rounds to it.
    const float shifted = __builtin_bit_cast(float, magnitude) + 0.5f;
    return with_sign(__builtin_bit_cast(std::uint32_t, shifted) - 0x3f00'0000u);
  }
  const std::uint32_t ties_to_even = 0xfffu + ((magnitude >> 13) & 1u);
  return with_sign((magnitude + ties_to_even - 0x3800'0000u) >> 13);
}

}  // namespace paligemma
