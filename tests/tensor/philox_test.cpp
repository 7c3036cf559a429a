#include "tensor/philox.h"

#include <gtest/gtest.h>

#include <cmath>

namespace paligemma {
namespace {

// The known answers of the authors' own library, Random123 (tests/kat_vectors, "philox4x32 10").
// The third takes its input from the digits of pi.
TEST(Philox, GivesTheAuthorsAnswers) {
  EXPECT_EQ(philox({0, 0}, {0, 0, 0, 0}),
            (PhiloxBlock{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));

  constexpr std::uint32_t kOnes = 0xffffffff;
  EXPECT_EQ(philox({kOnes, kOnes}, {kOnes, kOnes, kOnes, kOnes}),
            (PhiloxBlock{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));

  EXPECT_EQ(philox({0xa4093822, 0x299f31d0}, {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}),
            (PhiloxBlock{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, IsKnownToTheCompiler) {
  static_assert(philox({0, 0}, {0, 0, 0, 0})[0] == 0x6627e8d5);
  static_assert(philox_uniform(0, 0) == 0x6627e8 * 0x1p-24f);
}

// Seed and step are 64 bits, low half first. So is the key, and the first half of the counter.
TEST(PhiloxUniform, IsTheFirstNumberOfTheBlock) {
  constexpr std::uint64_t kSeed = 0x299f31d0a4093822, kStep = 0x85a308d3243f6a88;
  const PhiloxBlock block = philox({0xa4093822, 0x299f31d0}, {0x243f6a88, 0x85a308d3, 0, 0});
  EXPECT_EQ(philox_uniform(kSeed, kStep), static_cast<float>(block[0] >> 8) / 16777216);
}

TEST(PhiloxUniform, DependsOnEveryBitOfSeedAndStep) {
  for (int bit = 0; bit < 64; ++bit) {
    const std::uint64_t one = std::uint64_t{1} << bit;
    EXPECT_NE(philox_uniform(one, 0), philox_uniform(0, 0)) << "bit " << bit;
    EXPECT_NE(philox_uniform(0, one), philox_uniform(0, 0)) << "bit " << bit;
  }
}

TEST(PhiloxUniform, HasNoState) {
  const float first = philox_uniform(1, 7);
  philox_uniform(1, 8);
  EXPECT_EQ(philox_uniform(1, 7), first);
}

// 1 itself never comes, or a sampler would look for a token past the last.
TEST(PhiloxUniform, LiesInZeroToOneAndIsAMultipleOf2ToTheMinus24) {
  for (std::uint64_t step = 0; step < 10000; ++step) {
    const float u = philox_uniform(3, step);
    EXPECT_GE(u, 0);
    EXPECT_LT(u, 1);
    EXPECT_EQ(u * 0x1p24f, std::floor(u * 0x1p24f));
  }
}

// 16 bins of 1/16, 16000 numbers. The count of a bin has a standard deviation of
// sqrt(16000 / 16 * 15 / 16) = 31; five of them are allowed.
TEST(PhiloxUniform, FillsEveryBinAlike) {
  int count[16] = {};
  for (std::uint64_t step = 0; step < 16000; ++step) {
    ++count[static_cast<int>(philox_uniform(0, step) * 16)];
  }
  for (const int c : count) EXPECT_NEAR(c, 1000, 5 * 31);
}

}  // namespace
}  // namespace paligemma
