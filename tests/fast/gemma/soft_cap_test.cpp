#include "fast/gemma/soft_cap.h"

#include <cmath>
#include <utility>

#include "tests/support/instruction_sets.h"

namespace paligemma {
namespace {

using namespace test;

constexpr float kCap = 30;  // Gemma 2's, for logits

// The reference's six roundings, and ours: a division, an exponential within 2 ulp, which weighs
// most where the series of tanh ends (1 - e^-0.2 is 0.18, of which 2 ulp are eleven roundings), a
// sum, a quotient and a product.
constexpr Tolerance kTolerance = float_operations(6 + 1 + 11 + 3);

class FastSoftCap : public OnEveryInstructionSet {
 protected:
  // Numbers up to `size`.
  static Buffer<float, 2> random_logits(Index T, Index V, float size = 120) {
    auto x = random<float, 2>({T, V}, 1);
    for (Index i = 0; i < x.view().count(); ++i) x.view().data()[i] *= size;
    return x;
  }
  void expect_matches_reference(Index T, Index V, float cap, float size) {
    auto x = random_logits(T, V, size), expected = random_logits(T, V, size);
    soft_cap(reference, cap, expected.view());
    soft_cap(fast, cap, x.view());
    EXPECT_TRUE(close(x.view(), expected.view(), kTolerance))
        << "T = " << T << ", V = " << V << ", cap " << cap << ", numbers up to " << size;
  }
};
INSTANTIATE_TEST_SUITE_P(, FastSoftCap, kInstructionSets, instruction_set_name);

// Nearly straight in the middle, flat at the ends. Threads take 4096 numbers at a time.
TEST_P(FastSoftCap, MatchesReference) {
  for (Index T : {1, 2, 5, 13}) {
    for (Index V : {1, 3, 72, 1152, 4304}) expect_matches_reference(T, V, kCap, 120);
  }
  for (Index V : {4095, 4096, 4097, 257216}) expect_matches_reference(1, V, kCap, 120);
}

TEST_P(FastSoftCap, TakesAnyPositiveCapAndAnySize) {
  for (float cap : {0.5f, 1.0f, 50.0f}) {
    for (float size : {1e-30f, 1e-3f, 0.2f, 1.0f, 1e4f}) {
      expect_matches_reference(2, 1152, cap, size * cap);
    }
  }
}

TEST_P(FastSoftCap, KeepsTheOrder) {
  constexpr Index kSteps = 4001;
  Buffer<float, 2> x({1, kSteps});
  for (Index v = 0; v < kSteps; ++v) x.view()(0, v) = static_cast<float>(v - 2000) * 0.05f;
  soft_cap(fast, kCap, x.view());
  for (Index v = 1; v < kSteps; ++v) EXPECT_LT(x.view()(0, v - 1), x.view()(0, v)) << "v = " << v;
}

TEST_P(FastSoftCap, IsOdd) {
  auto x = random_logits(3, 257), minus_x = random_logits(3, 257);
  for (Index i = 0; i < x.view().count(); ++i) minus_x.view().data()[i] *= -1;
  soft_cap(fast, kCap, x.view());
  soft_cap(fast, kCap, minus_x.view());
  for (Index i = 0; i < x.view().count(); ++i) {
    EXPECT_EQ(minus_x.view().data()[i], -x.view().data()[i]);
  }
}

// Both in whole registers and in the rest behind them.
TEST_P(FastSoftCap, ReachesTheCapFarOutAndPassesNaNOn) {
  for (Index V : {1, 3, 32}) {
    for (const auto& [far, expected] :
         {std::pair{INFINITY, kCap}, {-INFINITY, -kCap}, {1e30f, kCap}, {-300.0f, -kCap}}) {
      Buffer<float, 2> x({1, V});
      for (Index v = 0; v < V; ++v) x.view()(0, v) = far;
      soft_cap(fast, kCap, x.view());
      for (Index v = 0; v < V; ++v) EXPECT_EQ(x.view()(0, v), expected);
    }
    Buffer<float, 2> x({1, V});
    x.view()(0, V - 1) = NAN;
    soft_cap(fast, kCap, x.view());
    EXPECT_TRUE(std::isnan(x.view()(0, V - 1)));
    for (Index v = 0; v + 1 < V; ++v) EXPECT_EQ(x.view()(0, v), 0);
  }
}

TEST_P(FastSoftCap, ChangesOnlyItsRows) {
  auto table = random_logits(4, 5), expected = random_logits(4, 5);
  soft_cap(fast, kCap, table.view().rows(1, 3));
  EXPECT_TRUE(close(table.view().rows(0, 1), expected.view().rows(0, 1), kExact));
  EXPECT_TRUE(close(table.view().rows(3, 4), expected.view().rows(3, 4), kExact));
  soft_cap(reference, kCap, expected.view().rows(1, 3));
  EXPECT_TRUE(close(table.view(), expected.view(), kTolerance));
}

TEST_P(FastSoftCap, TakesNoLogits) {
  EXPECT_NO_THROW(soft_cap(fast, kCap, Buffer<float, 2>({0, 7}).view()));
}

TEST_P(FastSoftCap, RejectsACapThatIsNotPositiveAndColumns) {
  auto x = random_logits(2, 4);
  for (float cap : {kNoSoftCap, -30.0f, NAN}) {
    EXPECT_THROW(soft_cap(fast, cap, x.view()), ContractError) << cap;
  }
  EXPECT_THROW(soft_cap(fast, kCap, View<float, 2>(x.view().data(), {2, 2}, {4, 1})),
               ContractError);
}

}  // namespace
}  // namespace paligemma
