#include "gemma/soft_cap.h"

#include <limits>

#include "tests/support/compare.h"
#include "tests/support/data.h"
#include "tests/support/gradients.h"

namespace paligemma {
namespace {

using namespace test;

constexpr float kCap = 30;  // Gemma 2's, for logits

// A division, a tanh within two units in the last place (four roundings) and a product. An error of
// tanh's argument reaches its value no larger than it was, because x tanh'(x) <= tanh(x).
constexpr Tolerance kTolerance = float_operations(6);

// docs/gemma/soft_cap.md, "By hand".
TEST(SoftCap, WorkedExample) {
  auto x = rows_of({{0, 3, 30, -60}});
  soft_cap(reference, kCap, x.view());
  const auto expected = rows_of({{0, 2.9900398, 22.847825, -28.920827}});
  EXPECT_TRUE(close(x.view(), expected.view(), kTolerance));
}

// The definition again, in double and with another formula for tanh:
// tanh(a) = (e^2a - 1) / (e^2a + 1). It shares no code with what it judges.
Buffer<float, 2> oracle(View<const float, 2> x, double cap) {
  Buffer<float, 2> y(x.shape());
  for (Index t = 0; t < x.size(0); ++t) {
    for (Index v = 0; v < x.size(1); ++v) {
      const double e = std::expm1(2 * std::abs(static_cast<double>(x(t, v))) / cap);
      y.view()(t, v) = static_cast<float>(std::copysign(cap * e / (e + 2), x(t, v)));
    }
  }
  return y;
}

// Logits between -120 and 120: nearly straight in the middle, flat at the ends.
Buffer<float, 2> random_logits(Index T, Index V) {
  auto x = random<float, 2>({T, V}, 1);
  for (Index i = 0; i < x.view().count(); ++i) x.view().data()[i] *= 120;
  return x;
}

// 257216 is the vocabulary of the published checkpoints.
TEST(SoftCap, MatchesTheDefinition) {
  for (Index V : {1, 7, 255, 257, 257216}) {
    auto x = random_logits(V < 1000 ? 3 : 1, V);
    const auto expected = oracle(x.view(), kCap);
    soft_cap(reference, kCap, x.view());
    EXPECT_TRUE(close(x.view(), expected.view(), kTolerance)) << "V = " << V;
  }
}

TEST(SoftCap, TakesAnyPositiveCap) {
  for (float cap : {0.5f, 1.0f, 50.0f}) {
    auto x = random_logits(3, 257);
    const auto expected = oracle(x.view(), cap);
    soft_cap(reference, cap, x.view());
    EXPECT_TRUE(close(x.view(), expected.view(), kTolerance)) << "cap = " << cap;
  }
}

TEST(SoftCap, KeepsTheOrder) {
  constexpr Index kSteps = 4001;
  Buffer<float, 2> x({1, kSteps});
  for (Index v = 0; v < kSteps; ++v) x.view()(0, v) = static_cast<float>(v - 2000) * 0.05f;
  soft_cap(reference, kCap, x.view());
  for (Index v = 1; v < kSteps; ++v) EXPECT_LT(x.view()(0, v - 1), x.view()(0, v)) << "v = " << v;
}

// A clamp would leave 29 and 31 at 29 and 30. The cap has no corner: both are squeezed.
TEST(SoftCap, IsNotAClamp) {
  auto x = rows_of({{29, 31}});
  soft_cap(reference, kCap, x.view());
  EXPECT_LT(x.view()(0, 0), 23);
  EXPECT_LT(x.view()(0, 1), 24);
}

TEST(SoftCap, LeavesSmallNumbersAlmostAsTheyAre) {
  auto x = rows_of({{1e-3, -1e-3, 1e-30}});
  const auto before = rows_of({{1e-3, -1e-3, 1e-30}});
  soft_cap(reference, kCap, x.view());
  EXPECT_TRUE(close(x.view(), before.view(), kTolerance));
}

TEST(SoftCap, IsOdd) {
  auto x = random_logits(3, 257);
  Buffer<float, 2> minus_x({3, 257});
  for (Index i = 0; i < x.view().count(); ++i) minus_x.view().data()[i] = -x.view().data()[i];
  soft_cap(reference, kCap, x.view());
  soft_cap(reference, kCap, minus_x.view());
  for (Index i = 0; i < x.view().count(); ++i) {
    EXPECT_EQ(minus_x.view().data()[i], -x.view().data()[i]);
  }
}

// In float the cap itself is reached: far out, tanh is the float 1.
TEST(SoftCap, ReachesTheCapFarOutAndNeverPassesIt) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  auto x = rows_of({{kInfinity, -kInfinity, 1e30, 300}});
  soft_cap(reference, kCap, x.view());
  EXPECT_TRUE(close(x.view(), rows_of({{30, -30, 30, 30}}).view(), kExact));
}

TEST(SoftCap, PassesNaNOn) {
  auto x = rows_of({{NAN, 1}});
  soft_cap(reference, kCap, x.view());
  EXPECT_TRUE(std::isnan(x.view()(0, 0)));
  EXPECT_FALSE(std::isnan(x.view()(0, 1)));
}

// Columns 1 and 2 of a wider table: the view's stride counts, its neighbours stay.
TEST(SoftCap, ChangesOnlyWhatTheViewShows) {
  auto table = rows_of({{60, 60, 60, 60}, {60, 60, 60, 60}});
  soft_cap(reference, kCap, View<float, 2>(&table.view()(0, 1), {2, 2}, {4, 1}));
  const auto expected = rows_of({{60, 28.920827, 28.920827, 60}, {60, 28.920827, 28.920827, 60}});
  EXPECT_TRUE(close(table.view(), expected.view(), kTolerance));
}

TEST(SoftCap, RejectsACapThatIsNotPositive) {
  auto x = rows_of({{1, 2}});
  EXPECT_THROW(soft_cap(reference, kNoSoftCap, x.view()), ContractError);
  EXPECT_THROW(soft_cap(reference, -30, x.view()), ContractError);
  EXPECT_THROW(soft_cap(reference, NAN, x.view()), ContractError);
}

// ---- backward --------------------------------------------------------------------------------------

TEST(SoftCapBackward, IsTheSlopeOfTheDefinition) {
  for (const float cap : {1.0f, 3.0f, 30.0f}) {
    auto x = random<float, 2>({3, 33}, 1), d = random<float, 2>({3, 33}, 2);
    const auto definition = [cap](const Doubles& from) {
      Doubles y;
      for (const double number : from) y.push_back(cap * std::tanh(number / cap));
      return y;
    };
    const Doubles expected = gradient_of(definition, doubles(x), doubles(d));
    soft_cap(reference, cap, x.view());
    soft_cap_backward(reference, cap, x.view(), d.view());
    EXPECT_TRUE(is_gradient(d, expected, 4)) << "cap " << cap;
  }
}

TEST(SoftCapBackward, IsNothingFarOut) {
  auto x = rows_of({{1e30, -1e30}}), d = rows_of({{1, 1}});
  soft_cap(reference, kCap, x.view());
  soft_cap_backward(reference, kCap, x.view(), d.view());
  EXPECT_TRUE(close(d.view(), rows_of({{0, 0}}).view(), kExact));
}

TEST(SoftCapBackward, RejectsWrongShapesAndCaps) {
  const auto x = rows_of({{1, 2}});
  auto dx = rows_of({{1, 2}}), turned = rows_of({{1}, {2}});
  EXPECT_NO_THROW(soft_cap_backward(reference, kCap, x.view(), dx.view()));
  EXPECT_THROW(soft_cap_backward(reference, 0, x.view(), dx.view()), ContractError);
  EXPECT_THROW(soft_cap_backward(reference, kCap, x.view(), turned.view()), ContractError);
}

}  // namespace
}  // namespace paligemma
