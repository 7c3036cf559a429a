#include "fast/core/math.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tensor/gelu.h"

namespace paligemma {
namespace {

// Calls f(x) for numbers from -limit to limit.
template <class Function>
void for_numbers(double limit, const Function& f) {
  constexpr int kSteps = 100'000;
  for (int i = -kSteps; i <= kSteps; ++i) f(static_cast<float>(limit * i / kSteps));
}

TEST(FastMath, ExpIsWithinTwoUlp) {
  for_numbers(87, [](float x) {
    const double exact = std::exp(static_cast<double>(x));
    EXPECT_NEAR(exp(broadcast(x))[0], exact, 2 * 0x1p-23 * exact) << x;
  });
}

TEST(FastMath, ExpOfVerySmallNumbersIsZero) {
  EXPECT_EQ(exp(broadcast(-100.0f))[0], 0);
  EXPECT_EQ(exp(broadcast(-INFINITY))[0], 0);
  EXPECT_EQ(exp(broadcast(0.0f))[0], 1);
}

TEST(FastMath, ExpOfVeryLargeNumbersIsVeryLarge) {
  EXPECT_GT(exp(broadcast(1000.0f))[0], 1e38f);
  EXPECT_GT(exp(broadcast(INFINITY))[0], 1e38f);
}

// This one's last bits would shift its exponent to that of the largest number.
TEST(FastMath, ExpOfANaNIsOne) {
  EXPECT_TRUE(std::isnan(exp(broadcast(NAN))[0]));
  EXPECT_TRUE(std::isnan(exp(broadcast(__builtin_bit_cast(float, 0x7fff'ffffu)))[0]));
}

// Four roundings, of which the subtraction loses the most: near 0.1, where the series ends.
TEST(FastMath, TanhIsWithinItsRoundings) {
  for_numbers(20, [](float x) {
    const double exact = std::tanh(static_cast<double>(x));
    EXPECT_NEAR(tanh(broadcast(x))[0], exact, 0x1p-19 * std::abs(exact)) << x;
  });
}

TEST(FastMath, GeluIsTheReference) {
  for_numbers(20, [](float x) {
    EXPECT_NEAR(gelu_tanh(broadcast(x))[0], gelu(GeluForm::tanh, x),
                1e-6 * std::max(1.0f, std::abs(x)))
        << x;
  });
}

TEST(FastMath, GeluOfVerySmallNumbersIsZero) {
  for (const float x : {-10.0f, -100.0f, -3e38f}) {
    EXPECT_EQ(gelu_tanh(broadcast(x))[0], 0) << x;
    EXPECT_TRUE(std::signbit(gelu_tanh(broadcast(x))[0])) << x;
  }
}

// 1 - share is off by 2 roundings of 1 until share is 1, at x = 5, where x 2u' is 35.
TEST(FastMath, GelusSlopeIsWithinItsRoundings) {
  for_numbers(20, [](float x) {
    const double cube = 0.044715 * x * x * x, root = std::sqrt(2 / std::acos(-1.0));
    const double h = std::tanh(root * (x + cube));
    const double exact = (1 + h) / 2 + (1 - h * h) / 2 * root * (x + 3 * cube);
    const Lanes lanes = broadcast(x);
    EXPECT_NEAR(gelu_slope_of(lanes, gelu_share(lanes))[0], exact, 70 * 0x1p-24) << x;
  });
}

TEST(FastMath, GelusSlopeFarOutIsZeroOrOne) {
  for (const float x : {10.0f, 100.0f, 1e18f}) {
    const Lanes lanes = broadcast(x);
    EXPECT_EQ(gelu_slope_of(lanes, gelu_share(lanes))[0], 1) << x;
    EXPECT_EQ(gelu_slope_of(-lanes, gelu_share(-lanes))[0], 0) << x;
  }
}

TEST(FastMath, EveryLaneIsItsOwn) {
  Lanes x;
  for (int i = 0; i < kLanes; ++i) x[i] = static_cast<float>(i) - 1.5f;
  const Lanes y = exp(x);
  for (int i = 0; i < kLanes; ++i) EXPECT_EQ(y[i], exp(broadcast(x[i]))[0]);
}

TEST(FastMath, TransposeTurnsASquare) {
  Units rows[kLanes];
  for (unsigned r = 0; r < kLanes; ++r) {
    for (unsigned c = 0; c < kLanes; ++c) rows[r][c] = 100 * r + c;
  }
  transpose(rows);
  for (unsigned r = 0; r < kLanes; ++r) {
    for (unsigned c = 0; c < kLanes; ++c) EXPECT_EQ(rows[r][c], 100 * c + r);
  }
}

}  // namespace
}  // namespace paligemma
