// The instructions as written out, against what docs/amx.md says; and where the processor has them, against the
// processor.
#define PG_EMULATE_AVX512
#define PG_EMULATE_AMX
#include "fast/core/amx.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <random>
#include <vector>

#include "tests/support/instruction_sets.h"

namespace paligemma {
namespace {

constexpr float kLeast = 0x1p-126f;  // that has all digits

// C of one output: `pairs` of A times pairs of B, one after the other, added to `c`.
float product(float c, const std::vector<float>& a, const std::vector<float>& b) {
  alignas(64) std::uint16_t of_a[16][32] = {}, of_b[16][32] = {};
  alignas(64) float of_c[16][16] = {};
  const auto bits = [](float x) { return narrow<bf16>(x).bits; };
  for (std::size_t i = 0; i < a.size(); ++i) {
    of_a[0][i] = bits(a[i]);
    of_b[i / 2][i % 2] = bits(b[i]);
  }
  of_c[0][0] = c;
  const TileRegisters registers;
  load_tile<0>(of_c, 64), load_tile<4>(of_a, 64), load_tile<6>(of_b, 64);
  Bf16Tiles::multiply<0, 4, 6>();
  store_tile<0>(of_c, 64);
  return of_c[0][0];
}

TEST(Amx, SumsEvenAndOddNumbersApart) {
  // One chain would lose the ones: 2^24 + 1 is no float.
  EXPECT_EQ(product(0, {0x1p24f, 1, -0x1p24f, 1}, {1, 1, 1, 1}), 2);
  EXPECT_EQ(product(0, {0x1p24f, 1, 1, -0x1p24f}, {1, 1, 1, 1}), 1);
}

TEST(Amx, AddsCLast) {
  EXPECT_EQ(product(0x1p24f, {1, 1}, {1, 1}), 0x1p24f + 2);
  EXPECT_EQ(product(0x1p24f, {1}, {1}), 0x1p24f);
}

TEST(Amx, TakesTinyNumbersForZero) {
  EXPECT_EQ(product(0, {kLeast / 2}, {0x1p126f}), 0);
  EXPECT_EQ(product(0, {kLeast}, {0.5f}), 0);
  EXPECT_EQ(product(kLeast / 2, {0}, {0}), 0);
  EXPECT_EQ(product(-kLeast, {kLeast, kLeast}, {1, 0.5f}), 0);
  EXPECT_EQ(product(0, {kLeast}, {1}), kLeast);
}

TEST(Amx, ForgetsTheSignOfZero) {
  EXPECT_FALSE(std::signbit(product(-0.0f, {0}, {0})));
  EXPECT_FALSE(std::signbit(product(-0.0f, {-0.0f}, {1})));
}

TEST(Amx, SaysWhatIsNoNumber) {
  EXPECT_TRUE(std::isnan(product(0, {INFINITY}, {0})));
  EXPECT_TRUE(std::isnan(product(0, {INFINITY, -INFINITY}, {1, 1})));
  EXPECT_TRUE(std::isnan(product(NAN, {1}, {1})));
  EXPECT_EQ(product(0, {INFINITY, 1}, {1, 1}), INFINITY);
}

TEST(Amx, WrapsSumsOfBytes) {
  alignas(64) std::int8_t a[16][64] = {}, b[16][64] = {};
  alignas(64) std::int32_t c[16][16] = {};
  for (int i = 0; i < 4; ++i) a[3][i] = -128, b[0][4 * 5 + i] = -128;
  c[3][5] = 0x7fff'ffff;
  const TileRegisters registers;
  load_tile<1>(c, 64), load_tile<5>(a, 64), load_tile<7>(b, 64);
  ByteTiles::multiply<1, 5, 7>();
  store_tile<1>(c, 64);
  EXPECT_EQ(c[3][5], static_cast<std::int32_t>(0x7fff'ffffu + 4 * 128 * 128));
  EXPECT_EQ(c[5][3], 0);
}

TEST(Amx, MultipliesBytesWithTheirSigns) {
  alignas(64) std::int8_t a[16][64] = {}, b[16][64] = {};
  alignas(64) std::int32_t c[16][16] = {};
  a[2][63] = -3, b[15][4 * 7 + 3] = 5;
  a[2][0] = 100, b[0][4 * 7] = -100;
  const TileRegisters registers;
  load_tile<1>(c, 64), load_tile<5>(a, 64), load_tile<7>(b, 64);
  ByteTiles::multiply<1, 5, 7>();
  store_tile<1>(c, 64);
  EXPECT_EQ(c[2][7], -15 - 10000);
}

// Numbers of any size, among them tiny ones, infinities and NaNs: the two sets of kernels give the same bits, but
// for those of a NaN.
TEST(Amx, IsWhatTheProcessorDoes) {
  const Kernels* const amx = test::kernels_named("amx");
  if (amx == nullptr) GTEST_SKIP() << "this processor does not have it";
  const Fast processor({.kernels = amx, .threads = 1}),
      written({.kernels = test::kernels_named("emulated_amx"), .threads = 1});
  constexpr Index T = 19, O = 45, I = 200;
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    const int spread = round % 4 == 0 ? 2 : round % 4 == 1 ? 20 : round % 4 == 2 ? 60 : 254;
    const auto any = [&]() -> std::uint32_t {
      const auto exponent = static_cast<std::uint32_t>(
          spread == 254 ? random() % 256 : 127 - spread / 2 + static_cast<int>(random() % spread));
      return static_cast<std::uint32_t>(random() % 2 << 31 | exponent << 23 |
                                        (random() & 0x7f'ffffu));
    };
    std::vector<float> x(T * I);
    std::vector<bf16> weight(O * I);
    for (float& number : x) number = std::bit_cast<float>(any());
    for (bf16& number : weight) number.bits = static_cast<std::uint16_t>(any() >> 16);
    std::vector<float> y[2] = {std::vector<float>(T * O), std::vector<float>(T * O)};
    for (int i = 0; i < 2; ++i) {
      const Fast& on = i == 0 ? processor : written;
      on.kernels().linear.bf16(
          on, {x.data(), weight.data(), {}, nullptr, {}, false, y[i].data(), T, O, I, O});
    }
    for (std::size_t i = 0; i < y[0].size(); ++i) {
      const bool both_nan = std::isnan(y[0][i]) && std::isnan(y[1][i]);
      ASSERT_TRUE(both_nan ||
                  std::bit_cast<std::uint32_t>(y[0][i]) == std::bit_cast<std::uint32_t>(y[1][i]))
          << y[0][i] << " and " << y[1][i] << " in round " << round;
    }
  }
}

}  // namespace
}  // namespace paligemma
