#include "gemma/min_p.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace paligemma {
namespace {

using Numbers = std::vector<float>;

struct Filtered {
  double mass;
  Numbers logits;
};
Filtered filtered(float share, float temperature, Numbers logits) {
  const double mass =
      min_p(share, temperature, {logits.data(), {static_cast<Index>(logits.size())}});
  return {mass, logits};
}

// docs/gemma/min_p.md, "By hand": p = 0.1, 0.4, 0.2, 0.05, 0.25.
TEST(MinP, WorkedExample) {
  const Numbers logits{std::log(2.0f), std::log(8.0f), std::log(4.0f), 0, std::log(5.0f)};
  const Filtered found = filtered(0.4f, 1, logits);
  EXPECT_EQ(found.logits, (Numbers{-INFINITY, logits[1], logits[2], -INFINITY, logits[4]}));
  EXPECT_NEAR(found.mass, 0.85, 1e-6);  // of logits rounded to float
}

TEST(MinP, TheTemperatureComesFirst) {
  const Numbers logits{0, std::log(4.0f)};  // a quarter; at temperature 2 a half
  EXPECT_EQ(filtered(0.4f, 1, logits).logits[0], -INFINITY);
  EXPECT_EQ(filtered(0.4f, 2, logits).logits[0], 0);
  EXPECT_NEAR(filtered(0.4f, 2, logits).mass, 1, 1e-12);
}

TEST(MinP, ATokenExactlyAtTheShareStays) {
  EXPECT_EQ(filtered(1, 1, {2, 2, 1}).logits, (Numbers{2, 2, -INFINITY}));
  EXPECT_EQ(filtered(0, 1, {2, -INFINITY, -1e30f}).logits, (Numbers{2, -INFINITY, -1e30f}));
}

TEST(MinP, TinyTemperaturesLeaveTheBest) {
  EXPECT_EQ(filtered(0.01f, 1e-38f, {1, 2, 3}).logits, (Numbers{-INFINITY, -INFINITY, 3}));
}

TEST(MinP, RejectsWhatIsNoShareOrTemperature) {
  for (const float share : {-0.1f, 1.1f, NAN}) {
    EXPECT_THROW(filtered(share, 1, {1}), ContractError) << share;
  }
  for (const float temperature : {0.0f, -1.0f, NAN}) {
    EXPECT_THROW(filtered(0.1f, temperature, {1}), ContractError) << temperature;
  }
}

}  // namespace
}  // namespace paligemma
