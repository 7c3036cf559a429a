#include "fast/gemma/rope.h"

#include "tests/support/compare.h"
#include "tests/support/data.h"

namespace paligemma {
namespace {

using namespace test;

const Fast fast({.threads = 2});

constexpr float kTheta = 10000;

// Two products of turned numbers below 1 and their sum. Angles are the reference's to the bit.
Tolerance tolerance() { return twice(float_sum_of(2, 2)); }

struct Case {
  Index T, N, H, first;
  float theta = kTheta;

  Buffer<float, 3> numbers() const { return random<float, 3>({T, N, H}, 1); }
  Buffer<float, 3> expected() const {
    auto x = numbers();
    rope(reference, first, theta, x.view());
    return x;
  }
  Buffer<float, 3> turned() const {
    auto x = numbers();
    rope(fast, first, theta, x.view());
    return x;
  }
};

void expect_matches_reference(const Case& c) {
  EXPECT_TRUE(close(c.turned().view(), c.expected().view(), tolerance()))
      << "T = " << c.T << ", N = " << c.N << ", H = " << c.H << ", first position " << c.first
      << ", theta " << c.theta;
}

// 13 tokens of 8 heads of 256 keep several threads busy.
TEST(FastRope, MatchesReference) {
  for (Index T : {1, 2, 5, 13}) {
    for (Index H : {2, 6, 72, 256}) {
      for (Index N : {1, 3, 8}) {
        for (Index first : {0, 5, 300}) expect_matches_reference({T, N, H, first});
      }
    }
  }
}

// No other test asks for this theta, so each table here is the one before it, made longer.
TEST(FastRope, GoesBeyondAnEarlierTable) {
  constexpr float kOwnTheta = 12345;
  for (Index first : {0, 2, 4, 3, 9, 1000, 0, 1001, 7019}) {
    for (Index T : {2, 5}) expect_matches_reference({T, 2, 12, first, kOwnTheta});
  }
}

TEST(FastRope, OneTokenAtATimeGivesTheSameBits) {
  constexpr float kOwnTheta = 23456;
  const auto whole = Case{40, 2, 16, 20, kOwnTheta}.turned();
  auto steps = Case{40, 2, 16, 20, kOwnTheta}.numbers();
  rope(fast, 20, kOwnTheta, steps.view().rows(0, 5));
  for (Index t = 5; t < 40; ++t) rope(fast, 20 + t, kOwnTheta, steps.view().rows(t, t + 1));
  EXPECT_TRUE(close(steps.view(), whole.view(), kExact));
}

// Neither thetas nor head sizes may be mixed up.
TEST(FastRope, KeepsThetasAndHeadSizesApart) {
  for (Index first : {0, 8, 64}) {
    for (float theta : {500.0f, kTheta, 1e6f}) {
      for (Index H : {12, 16}) expect_matches_reference({5, 2, H, first, theta});
    }
  }
}

TEST(FastRope, PositionZeroIsLeftAlone) {
  const Case c{1, 2, 64, 0};
  EXPECT_TRUE(close(c.turned().view(), c.numbers().view(), kExact));
}

// Q as the first heads of one wide projection: what lies beside it stays as it is.
TEST(FastRope, TurnsASliceWhereItStands) {
  constexpr Index T = 5, N = 2, H = 12, width = (N + 2) * H + 1;
  auto wide = random<float, 2>({T, width}, 1), expected = random<float, 2>({T, width}, 1);
  const auto heads = [](Buffer<float, 2>& of) {
    return View<float, 3>(&of.view()(0, 1), {T, N, H}, {width, H, 1});
  };
  rope(reference, 3, kTheta, heads(expected));
  rope(fast, 3, kTheta, heads(wide));
  EXPECT_TRUE(close(wide.view(), expected.view(), tolerance()));
  for (Index t = 0; t < T; ++t) {
    EXPECT_EQ(wide.view()(t, 0), expected.view()(t, 0));
    for (Index d = N * H + 1; d < width; ++d) EXPECT_EQ(wide.view()(t, d), expected.view()(t, d));
  }
}

TEST(FastRope, TakesNoTokensAndNoFeatures) {
  EXPECT_NO_THROW((Case{0, 2, 8, 3}.turned()));
  EXPECT_NO_THROW((Case{2, 0, 8, 3}.turned()));
  EXPECT_NO_THROW((Case{2, 2, 0, 3}.turned()));
}

TEST(FastRope, RejectsWrongShapes) {
  EXPECT_THROW((Case{1, 1, 7, 0}.turned()), ContractError);
  Buffer<float, 3> wide({1, 1, 16});
  const View<float, 3> every_second(wide.view().data(), {1, 1, 8}, {16, 16, 2});
  EXPECT_THROW(rope(fast, 0, kTheta, every_second), ContractError);
}

}  // namespace
}  // namespace paligemma
