#include "fast/gemma/rope_table.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/compare.h"

namespace paligemma {
namespace {

constexpr float kTheta = 10000;
constexpr Index H = 8;

void expect_angles(const RopeTable& table, Index positions) {
  for (Index t = 0; t < positions; ++t) {
    for (Index j = 0; j < H / 2; ++j) {
      const float frequency =
          static_cast<float>(std::pow(10000.0, -2.0 * static_cast<double>(j) / H));
      const float angle = static_cast<float>(t) * frequency;
      EXPECT_EQ(table.cos(t)[j], std::cos(angle)) << "position " << t << ", frequency " << j;
      EXPECT_EQ(table.sin(t)[j], std::sin(angle)) << "position " << t << ", frequency " << j;
    }
  }
}

TEST(RopeTable, HoldsEveryAngle) {
  RopeTable table(kTheta, H);
  table.extend(300);
  expect_angles(table, 300);
}

TEST(RopeTable, GrowsAsItIsAskedTo) {
  RopeTable table(kTheta, H);
  for (const Index positions : {1, 2, 7, 5, 100, 3}) {
    table.extend(positions);
    expect_angles(table, positions);
  }
}

TEST(RopeTable, TakesHeadsWithoutNumbers) {
  RopeTable table(kTheta, 0);
  EXPECT_NO_THROW(table.extend(5));
}

}  // namespace
}  // namespace paligemma
