#include "world/random.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <set>

namespace paligemma::world {
namespace {

TEST(RandomNumbers, AreThoseOfPhilox) {
  Random random(5);
  for (std::uint64_t step = 0; step < 10; ++step) {
    EXPECT_EQ(random.uniform(), philox_uniform(5, step));
  }
}

TEST(RandomNumbers, StayInTheirRange) {
  Random random(1);
  std::set<int> seen;
  for (int i = 0; i < 1000; ++i) {
    const double x = random.between(-2, 3);
    EXPECT_GE(x, -2);
    EXPECT_LT(x, 3);
    seen.insert(random.below(7));
  }
  EXPECT_EQ(seen, (std::set<int>{0, 1, 2, 3, 4, 5, 6}));
}

TEST(RandomNumbers, HappenAsOftenAsTheyShould) {
  constexpr int kDraws = 20000;
  Random random(2);
  int happened = 0;
  std::array<int, 4> picked = {};
  for (int i = 0; i < kDraws; ++i) {
    happened += random.chance(0.3);
    ++picked[static_cast<std::size_t>(random.weighted({1, 0, 2, 5}))];
  }
  const double deviations = 5 * std::sqrt(kDraws / 4.0);  // the largest a share of draws can have
  EXPECT_NEAR(happened, 0.3 * kDraws, deviations);
  EXPECT_NEAR(picked[0], kDraws / 8.0, deviations);
  EXPECT_EQ(picked[1], 0) << "weight 0";
  EXPECT_NEAR(picked[2], kDraws / 4.0, deviations);
  EXPECT_NEAR(picked[3], kDraws * 5 / 8.0, deviations);
}

TEST(RandomNumbers, PickOneThingOfMany) {
  Random random(3);
  const std::array<char, 3> things = {'a', 'b', 'c'};
  std::set<char> seen;
  for (int i = 0; i < 100; ++i) seen.insert(random.one_of(std::span<const char>(things)));
  EXPECT_EQ(seen, (std::set<char>{'a', 'b', 'c'}));
}

TEST(RandomNumbers, NeverHappenWithProbabilityZeroAndAlwaysWithOne) {
  Random random(4);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_FALSE(random.chance(0));
    EXPECT_TRUE(random.chance(1));
  }
}

}  // namespace
}  // namespace paligemma::world
