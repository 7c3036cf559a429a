#include "gemma/rope.h"

#include "tests/support/compare.h"
#include "tests/support/data.h"
#include "tests/support/gradients.h"

namespace paligemma {
namespace {

using namespace test;

constexpr float kTheta = 10000;

// One token, one head.
Buffer<float, 3> head_of(std::initializer_list<double> values) {
  Buffer<float, 3> x({1, 1, static_cast<Index>(values.size())});
  float* out = x.view().data();
  for (double v : values) *out++ = static_cast<float>(v);
  return x;
}

Buffer<float, 3> copy_of(const Buffer<float, 3>& x) {
  Buffer<float, 3> y(x.view().shape());
  std::copy_n(x.view().data(), x.view().count(), y.view().data());
  return y;
}

// How far a turned pair of numbers in [-1, 1) may be off at this position: the two products, their
// sum, and an angle of at most `position` that was rounded twice, in the frequency and in the
// product, each time by at most half a unit in the last place.
Tolerance rotation(Index position) { return float_sum_of(2, 2 + static_cast<double>(position)); }

// docs/gemma/rope.md, "By hand".
TEST(Rope, WorkedExample) {
  auto x = head_of({1, 2, 3, 4});
  rope(reference, 1, kTheta, x.view());
  const auto expected = head_of({-1.9841106, 1.9599007, 2.4623779, 4.0197997});
  EXPECT_TRUE(close(x.view(), expected.view(), float_sum_of(2, 4)));
}

// The other pairing, of RoFormer's eq. 34 and of Meta's Llama code: neighbours.
void rope_of_neighbours(Index position, double theta, View<float, 3> x) {
  const Index H = x.size(2);
  for (Index j = 0; j < H; j += 2) {
    const double angle =
        static_cast<double>(position) *
        std::exp(-std::log(theta) * static_cast<double>(j) / static_cast<double>(H));
    for (Index n = 0; n < x.size(1); ++n) {
      const double a = x(0, n, j), b = x(0, n, j + 1);
      x(0, n, j) = static_cast<float>(a * std::cos(angle) - b * std::sin(angle));
      x(0, n, j + 1) = static_cast<float>(a * std::sin(angle) + b * std::cos(angle));
    }
  }
}

TEST(Rope, PairsHalvesAndNotNeighbours) {
  auto ours = head_of({1, 2, 3, 4}), other = head_of({1, 2, 3, 4});
  rope(reference, 1, kTheta, ours.view());
  rope_of_neighbours(1, kTheta, other.view());
  const auto expected = head_of({-1.1426397, 1.9220756, 2.9598507, 4.0297995});
  EXPECT_TRUE(close(other.view(), expected.view(), float_sum_of(2, 4)));
  EXPECT_FALSE(close(ours.view(), other.view(), float_sum_of(2, 4)));
}

// 0 1 2 3 4 5 with neighbours paired is 0 2 4 1 3 5 with halves paired.
Buffer<float, 3> neighbours_to_halves(const Buffer<float, 3>& x) {
  const Index H = x.view().size(2);
  Buffer<float, 3> y(x.view().shape());
  for (Index n = 0; n < x.view().size(1); ++n) {
    for (Index j = 0; j < H / 2; ++j) {
      y.view()(0, n, j) = x.view()(0, n, 2 * j);
      y.view()(0, n, j + H / 2) = x.view()(0, n, 2 * j + 1);
    }
  }
  return y;
}

TEST(Rope, TheTwoPairingsDifferByAnOrderOfTheFeatures) {
  auto neighbours = random<float, 3>({1, 2, 64}, 1);
  auto halves = neighbours_to_halves(neighbours);
  rope_of_neighbours(9, kTheta, neighbours.view());
  rope(reference, 9, kTheta, halves.view());
  EXPECT_TRUE(close(halves.view(), neighbours_to_halves(neighbours).view(), rotation(9)));
}

TEST(Rope, PositionZeroIsLeftAlone) {
  const auto x = random<float, 3>({1, 2, 64}, 1);
  auto y = copy_of(x);
  rope(reference, 0, kTheta, y.view());
  EXPECT_TRUE(close(y.view(), x.view(), kExact));
}

// The definition again, in double, feature by feature; theta^(-2j/H) is exp(-log(theta) 2j/H).
Buffer<float, 3> oracle(View<const float, 3> x, Index first, double theta) {
  const Index H = x.size(2);
  Buffer<float, 3> y(x.shape());
  for (Index t = 0; t < x.size(0); ++t) {
    for (Index n = 0; n < x.size(1); ++n) {
      for (Index h = 0; h < H; ++h) {
        const bool upper = h >= H / 2;
        const double j = static_cast<double>(upper ? h - H / 2 : h);
        const double angle = static_cast<double>(first + t) *
                             std::exp(-std::log(theta) * 2 * j / static_cast<double>(H));
        const double other = upper ? x(t, n, h - H / 2) : -x(t, n, h + H / 2);
        y.view()(t, n, h) =
            static_cast<float>(x(t, n, h) * std::cos(angle) + other * std::sin(angle));
      }
    }
  }
  return y;
}

// 256 is the head of Gemma 2B. Heads have an even size, so 7, 255 and 257 are numbers of tokens.
TEST(Rope, MatchesTheDefinition) {
  for (Index H : {2, 6, 12, 128, 256}) {
    for (Index T : {1, 7, 255, 257}) {
      const auto x = random<float, 3>({T, 3, H}, 1);
      auto y = copy_of(x);
      rope(reference, 5, kTheta, y.view());
      const auto expected = oracle(x.view(), 5, kTheta);
      EXPECT_TRUE(close(y.view(), expected.view(), rotation(T + 5)))
          << "T = " << T << ", H = " << H;
    }
  }
}

TEST(Rope, TakesThetaFromTheCaller) {
  const auto x = random<float, 3>({9, 2, 16}, 1);
  auto y = copy_of(x);
  rope(reference, 0, 500, y.view());
  EXPECT_TRUE(close(y.view(), oracle(x.view(), 0, 500).view(), rotation(9)));
}

// With H = 4 the second frequency is 1/100, which no float is. At position 7019 the angle is
// 70.189995 if the frequency was rounded to float first, 70.190002 if only the angle was, and 70.19
// if nothing was.
TEST(Rope, FrequenciesAndAnglesAreFloat) {
  const auto turned_by = [](double angle) {
    return head_of({0, std::cos(angle), 0, std::sin(angle)});
  };
  auto x = head_of({0, 1, 0, 0});
  rope(reference, 7019, kTheta, x.view());
  EXPECT_TRUE(close(x.view(), turned_by(7019.0f * 0.01f).view(), float_sum_of(2)));
  EXPECT_FALSE(close(x.view(), turned_by(70.19f).view(), float_sum_of(2)));
  EXPECT_FALSE(close(x.view(), turned_by(70.19).view(), float_sum_of(2)));
}

// q . k after both were turned, in double.
double score(const Buffer<float, 3>& q, Index q_position, const Buffer<float, 3>& k,
             Index k_position) {
  auto turned_q = copy_of(q), turned_k = copy_of(k);
  rope(reference, q_position, kTheta, turned_q.view());
  rope(reference, k_position, kTheta, turned_k.view());
  double sum = 0;
  for (Index h = 0; h < q.view().size(2); ++h) {
    sum += double{turned_q.view()(0, 0, h)} * double{turned_k.view()(0, 0, h)};
  }
  return sum;
}

// Each of the H products of a score is of two turned numbers, each below 2 and off by `rotation`.
double score_error(Index H, Index position) {
  return static_cast<double>(H) * 2 * 2 * rotation(position).absolute;
}

TEST(Rope, ScoresDependOnTheDistanceOnly) {
  const Index H = 256;
  const auto q = random<float, 3>({1, 1, H}, 1), k = random<float, 3>({1, 1, H}, 2);
  const double near = score(q, 8, k, 3);
  EXPECT_NEAR(score(q, 30, k, 25), near, 2 * score_error(H, 30));
  EXPECT_NEAR(score(q, 280, k, 275), near, 2 * score_error(H, 280));
  EXPECT_GT(std::abs(score(q, 9, k, 3) - near), 2 * score_error(H, 30));
  EXPECT_GT(std::abs(score(q, 3, k, 8) - near), 2 * score_error(H, 30));
}

// Hugging Face counts positions from 1, big_vision and we from 0.
TEST(Rope, CountingFromOneGivesTheSameScores) {
  const Index H = 256;
  const auto q = random<float, 3>({1, 1, H}, 1), k = random<float, 3>({1, 1, H}, 2);
  for (Index t : {0, 1, 34}) {
    EXPECT_NEAR(score(q, 34, k, t), score(q, 35, k, t + 1), 2 * score_error(H, 35)) << "t = " << t;
  }
}

// The one that must not be done: counting queries from another number than keys.
TEST(Rope, CountingOnlyQueriesFromOneDoesNot) {
  const Index H = 256;
  const auto q = random<float, 3>({1, 1, H}, 1), k = random<float, 3>({1, 1, H}, 2);
  EXPECT_GT(std::abs(score(q, 34, k, 20) - score(q, 35, k, 20)), 2 * score_error(H, 35));
}

TEST(Rope, KeepsTheLengthOfEachPair) {
  const auto x = random<float, 3>({3, 2, 64}, 1);
  auto y = copy_of(x);
  rope(reference, 40, kTheta, y.view());
  for (Index j = 0; j < 32; ++j) {
    const double before = std::hypot(x.view()(2, 1, j), x.view()(2, 1, j + 32));
    const double after = std::hypot(y.view()(2, 1, j), y.view()(2, 1, j + 32));
    EXPECT_NEAR(after, before, 2 * float_sum_of(2, 2).absolute);
  }
}

TEST(Rope, OneTokenAtATimeGivesTheSameBits) {
  const auto x = random<float, 3>({9, 2, 16}, 1);
  auto whole = copy_of(x), steps = copy_of(x);
  rope(reference, 20, kTheta, whole.view());
  rope(reference, 20, kTheta, steps.view().rows(0, 5));
  for (Index t = 5; t < 9; ++t) rope(reference, 20 + t, kTheta, steps.view().rows(t, t + 1));
  EXPECT_TRUE(close(steps.view(), whole.view(), kExact));
}

// Q as the first heads of one wide projection [T, (N + 2) H]: the values beside it stay as they are.
TEST(Rope, TurnsASliceWhereItStands) {
  const Index T = 5, N = 2, H = 16, width = (N + 2) * H;
  auto wide = random<float, 2>({T, width}, 1);
  const auto before = random<float, 2>({T, width}, 1);
  rope(reference, 3, kTheta, View<float, 3>(wide.view().data(), {T, N, H}, {width, H, 1}));

  Buffer<float, 3> alone({T, N, H});
  for (Index t = 0; t < T; ++t) {
    for (Index n = 0; n < N; ++n) {
      for (Index h = 0; h < H; ++h) alone.view()(t, n, h) = before.view()(t, n * H + h);
    }
  }
  rope(reference, 3, kTheta, alone.view());
  for (Index t = 0; t < T; ++t) {
    for (Index d = 0; d < width; ++d) {
      const float expected = d < N * H ? alone.view()(t, d / H, d % H) : before.view()(t, d);
      EXPECT_EQ(wide.view()(t, d), expected) << "t = " << t << ", d = " << d;
    }
  }
}

TEST(Rope, RejectsAnOddHead) {
  auto x = random<float, 3>({1, 1, 7}, 1);
  EXPECT_THROW(rope(reference, 0, kTheta, x.view()), ContractError);
}

// ---- backward --------------------------------------------------------------------------------------

// A turn keeps lengths, so the gradient is what was there before it.
TEST(RopeBackward, TurnsBack) {
  for (const Index first : {0, 5, 8000}) {
    const auto before = random<float, 3>({3, 2, 12}, 1);
    auto x = random<float, 3>({3, 2, 12}, 1);
    rope(reference, first, kTheta, x.view());
    rope_backward(reference, first, kTheta, x.view());
    EXPECT_TRUE(close(x.view(), before.view(), float_sum_of(4, 2)));
  }
}

TEST(RopeBackward, IsTheSlopeOfTheDefinition) {
  constexpr Index T = 3, N = 2, H = 6, kFirst = 4;
  const auto x = random<float, 3>({T, N, H}, 1);
  auto d = random<float, 3>({T, N, H}, 2);
  const auto definition = [](const Doubles& from) {
    Doubles y = from;
    for (Index i = 0; i < T * N * H; ++i) {
      const Index j = i % H % (H / 2);
      const double a = static_cast<double>(kFirst + i / (N * H)) *
                       std::pow(double{kTheta}, -2.0 * static_cast<double>(j) / H);
      const bool is_lower = i % H < H / 2;
      const double other = from[static_cast<std::size_t>(is_lower ? i + H / 2 : i - H / 2)];
      y[static_cast<std::size_t>(i)] = from[static_cast<std::size_t>(i)] * std::cos(a) +
                                       (is_lower ? -other : other) * std::sin(a);
    }
    return y;
  };
  const Doubles expected = gradient_of(definition, doubles(x), doubles(d));
  rope_backward(reference, kFirst, kTheta, d.view());
  EXPECT_TRUE(is_gradient(d, expected, 4));
}

TEST(RopeBackward, RejectsAnOddHead) {
  auto dx = random<float, 3>({1, 1, 7}, 1);
  EXPECT_THROW(rope_backward(reference, 0, kTheta, dx.view()), ContractError);
}

}  // namespace
}  // namespace paligemma
