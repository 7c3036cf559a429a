#include "tensor/numbers.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace paligemma {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

// A short type by its definition: sign, exponent of `exponent_bits`, mantissa of `mantissa_bits`.
template <class Short>
struct Format;
template <>
struct Format<bf16> {
  static constexpr int exponent_bits = 8, mantissa_bits = 7;
};
template <>
struct Format<f16> {
  static constexpr int exponent_bits = 5, mantissa_bits = 10;
};

// IEEE 754, section 3.4: what the bits mean.
template <class Short>
double value_of(std::uint32_t bits) {
  constexpr int E = Format<Short>::exponent_bits, M = Format<Short>::mantissa_bits;
  const double sign = bits & 0x8000u ? -1 : 1;
  const int exponent = static_cast<int>(bits & 0x7fffu) >> M, mantissa = bits & ((1 << M) - 1);
  const int bias = (1 << (E - 1)) - 1;
  if (exponent == (1 << E) - 1) {
    return mantissa ? std::numeric_limits<double>::quiet_NaN() : sign * INFINITY;
  }
  if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias - M);
  return sign * std::ldexp((1 << M) + mantissa, exponent - bias - M);
}

// IEEE 754, section 4.3.1: to the nearest of all values, to the even one of two that are as near,
// and to infinity from half a step past the largest.
template <class Short>
std::uint16_t nearest(double x) {
  constexpr int E = Format<Short>::exponent_bits, M = Format<Short>::mantissa_bits;
  const std::uint32_t sign = std::signbit(x) ? 0x8000u : 0, infinity = ((1u << E) - 1) << M;
  // The last value that is not above |x|: values grow with their bits.
  std::uint32_t low = 0, high = infinity;
  while (high - low > 1) {
    const std::uint32_t middle = (low + high) / 2;
    (value_of<Short>(middle) <= std::abs(x) ? low : high) = middle;
  }
  // The step after the largest value is as wide as the one before it.
  const double below = value_of<Short>(low);
  const double above =
      high == infinity ? 2 * below - value_of<Short>(low - 1) : value_of<Short>(high);
  const double to_below = std::abs(x) - below, to_above = above - std::abs(x);
  const bool up = to_above < to_below || (to_above == to_below && low % 2 == 1);
  return static_cast<std::uint16_t>(sign | (up ? high : low));
}

template <class Short>
class NumbersOf : public ::testing::Test {};
using ShortTypes = ::testing::Types<bf16, f16>;
TYPED_TEST_SUITE(NumbersOf, ShortTypes);

TYPED_TEST(NumbersOf, WidenGivesTheValueOfEveryPattern) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float wide = widen(TypeParam{static_cast<std::uint16_t>(bits)});
    const double value = value_of<TypeParam>(bits);
    if (std::isnan(value)) {
      ASSERT_TRUE(std::isnan(wide)) << bits;
    } else {
      ASSERT_EQ(wide, value) << bits;
      ASSERT_EQ(std::signbit(wide), std::signbit(value)) << bits;  // -0 too
    }
  }
}

TYPED_TEST(NumbersOf, EveryPatternComesBackFromAFloat) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float wide = widen(TypeParam{static_cast<std::uint16_t>(bits)});
    const std::uint16_t back = narrow<TypeParam>(wide).bits;
    if (std::isnan(wide)) {
      ASSERT_TRUE(std::isnan(value_of<TypeParam>(back))) << bits;
      ASSERT_EQ(back & 0x8000u, bits & 0x8000u) << bits;
    } else {
      ASSERT_EQ(back, bits);
    }
  }
}

// Between every two neighbours: the middle, and the floats just below and above it.
TYPED_TEST(NumbersOf, NarrowTakesTheNearestAndTheEvenOfTwo) {
  const std::uint32_t infinity = narrow<TypeParam>(kInfinity).bits;
  for (std::uint32_t bits = 0; bits + 1 < infinity; ++bits) {
    const double low = value_of<TypeParam>(bits), high = value_of<TypeParam>(bits + 1);
    const auto middle = static_cast<float>((low + high) / 2);
    ASSERT_EQ(middle, (low + high) / 2) << bits;  // it is a float
    const std::uint32_t even = bits + bits % 2;
    ASSERT_EQ(narrow<TypeParam>(middle).bits, even) << bits;
    ASSERT_EQ(narrow<TypeParam>(-middle).bits, even | 0x8000u) << bits;
    ASSERT_EQ(narrow<TypeParam>(std::nextafter(middle, 0.0f)).bits, bits) << bits;
    ASSERT_EQ(narrow<TypeParam>(std::nextafter(middle, kInfinity)).bits, bits + 1) << bits;
  }
}

TYPED_TEST(NumbersOf, NarrowMatchesTheDefinition) {
  std::mt19937 random(1);
  std::vector<float> numbers = {0.0f,      -0.0f,     1.0f,
                                0x1p-149f, 0x1p-126f, 65504.0f,
                                65519.0f,  65520.0f,  std::numeric_limits<float>::max()};
  for (int i = 0; i < 100000; ++i)
    numbers.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(random())));
  for (int i = 0; i < 100000; ++i) {  // within the range of f16, subnormals included
    const int exponent = static_cast<int>(random() % 44) - 27;
    numbers.push_back(std::ldexp(static_cast<float>(random() >> 8) * 0x1p-24f, exponent));
  }
  for (const float x : numbers) {
    if (std::isnan(x)) {
      ASSERT_TRUE(std::isnan(widen(narrow<TypeParam>(x))));
      continue;
    }
    ASSERT_EQ(narrow<TypeParam>(x).bits, nearest<TypeParam>(x)) << std::hexfloat << x;
  }
}

// A NaN whose mantissa lies in the part that is cut off must not become infinity.
TYPED_TEST(NumbersOf, NaNStaysNaN) {
  for (const std::uint32_t bits :
       {0x7fc00000u, 0xffc00000u, 0x7f800001u, 0xff800001u, 0x7fffffffu, 0xffffffffu}) {
    const float x = std::bit_cast<float>(bits);
    const TypeParam narrowed = narrow<TypeParam>(x);
    EXPECT_TRUE(std::isnan(widen(narrowed))) << bits;
    EXPECT_EQ(narrowed.bits & 0x8000u, bits >> 16 & 0x8000u) << bits;
  }
}

TYPED_TEST(NumbersOf, InfinityStaysInfinity) {
  EXPECT_EQ(widen(narrow<TypeParam>(kInfinity)), kInfinity);
  EXPECT_EQ(widen(narrow<TypeParam>(-kInfinity)), -kInfinity);
}

TYPED_TEST(NumbersOf, AreTwoBytes) { static_assert(sizeof(TypeParam) == 2); }

TEST(F16, GoesTo65504AndThenToInfinity) {
  EXPECT_EQ(narrow<f16>(65504).bits, 0x7bff);
  EXPECT_EQ(narrow<f16>(65519.996f).bits, 0x7bff);
  EXPECT_EQ(narrow<f16>(65520).bits, 0x7c00);  // a tie, and 0x7bff is odd
  EXPECT_EQ(narrow<f16>(-1e6f).bits, 0xfc00);
}

TEST(F16, HasSubnormalsDownTo2ToTheMinus24) {
  EXPECT_EQ(narrow<f16>(0x1p-14f).bits, 0x0400);  // the least normal number
  EXPECT_EQ(narrow<f16>(0x1p-24f).bits, 0x0001);
  EXPECT_EQ(narrow<f16>(0x1p-25f).bits, 0x0000);  // a tie, to even
  EXPECT_EQ(narrow<f16>(0x1.8p-25f).bits, 0x0001);
  EXPECT_EQ(narrow<f16>(0x1.8p-24f).bits, 0x0002);  // a tie, to even
  EXPECT_EQ(narrow<f16>(-0x1p-30f).bits, 0x8000);
}

// A carry runs from the mantissa into the exponent.
TEST(F16, RoundsUpToTheNextPowerOfTwo) {
  EXPECT_EQ(narrow<f16>(0x1.ffep0f).bits, 0x4000);
  EXPECT_EQ(narrow<f16>(0x1.ff8p-15f).bits, 0x03ff);
  EXPECT_EQ(narrow<f16>(0x1.ffcp-15f).bits, 0x0400);  // out of the subnormals
}

TEST(Bf16, HasTheRangeOfAFloat) {
  EXPECT_EQ(narrow<bf16>(1.0f).bits, 0x3f80);
  EXPECT_EQ(widen(narrow<bf16>(0x1p127f)), 0x1p127f);
  EXPECT_EQ(narrow<bf16>(std::numeric_limits<float>::max()).bits, 0x7f80);
  EXPECT_EQ(widen(narrow<bf16>(0x1p-133f)), 0x1p-133f);  // its least subnormal
}

// The numbers that the pages use.
TEST(Bf16, HasEightSignificantBits) {
  EXPECT_EQ(widen(narrow<bf16>(257)), 256);
  EXPECT_EQ(widen(narrow<bf16>(1 + 0x1p-8f)), 1);
  EXPECT_EQ(widen(narrow<bf16>(1 + 0x1p-7f)), 1 + 0x1p-7f);
}

TEST(Float, IsItsOwnStorage) {
  EXPECT_EQ(narrow<float>(widen(0x1.fffffep0f)), 0x1.fffffep0f);
  EXPECT_TRUE(std::isnan(narrow<float>(kNaN)));
}

TEST(Numbers, AreKnownToTheCompiler) {
  static_assert(narrow<bf16>(1.0f).bits == 0x3f80 && narrow<f16>(1.0f).bits == 0x3c00);
  static_assert(widen(bf16{0x3f80}) == 1.0f && widen(f16{0x3c00}) == 1.0f);
}

}  // namespace
}  // namespace paligemma
