#include "zeta/rotary.h"

#include <cmath>

#include "gemma/rope.h"
#include "tests/support/compare.h"
#include "tests/support/data.h"

namespace paligemma {
namespace {

using namespace test;

constexpr RotaryRule kXpos{.xpos_scale_base = 512};

Buffer<float, 3> copy_of(View<const float, 3> x) {
  Buffer<float, 3> y(x.shape());
  std::copy_n(x.data(), x.count(), y.view().data());
  return y;
}

Buffer<float, 3> turned(View<const float, 3> x, Index first_position, const RotaryRule& rule,
                        Turn turn = Turn::query) {
  auto y = copy_of(x);
  rotary(reference, first_position, rule, turn, y.view());
  return y;
}

// Tokens of one head.
Buffer<float, 3> tokens_of(std::initializer_list<std::initializer_list<double>> rows) {
  const auto flat = rows_of(rows);
  const auto [T, R] = flat.view().shape();
  return copy_of(flat.view().reshaped<3>({T, 1, R}));
}

// How far a turned pair of numbers in [-1, 1) may be off at this position: the two products, their sum, and
// an angle of at most `position` that was rounded three times, in the frequency, the division and the product;
// all that times c, whose exponent, below 1, and power are rounded as well.
Tolerance rotation(Index position, double c = 1) {
  return float_sum_of(2, c * (4 + 1.5 * static_cast<double>(position)));
}

// docs/zeta/rotary.md, "By hand".
TEST(Rotary, WorkedExample) {
  const auto x = tokens_of({{1, 2, 3, 4}});
  const RotaryRule rule{.xpos_scale_base = 2, .xpos_centre = 1};
  const auto query = tokens_of({{-0.4038150, 1.2080045, -0.8082450, 2.6088372}});
  const auto key = tokens_of({{-4.9467338, 2.9230725, -9.9010012, 6.3127417}});
  EXPECT_TRUE(close(turned(x.view(), 3, rule).view(), query.view(), {8 * kUnitRoundoff, 0x1p-22}));
  EXPECT_TRUE(
      close(turned(x.view(), 3, rule, Turn::key).view(), key.view(), {8 * kUnitRoundoff, 0x1p-22}));
}

// x-transformers 1.19.0: RotaryEmbedding(4, use_xpos = True, scale_base = 2), apply_rotary_pos_emb with the
// scale for queries, and with scale ** -1 for keys. Numbers are up to 8, factors up to 3.5.
TEST(Rotary, MatchesXTransformersXpos) {
  const auto x =
      tokens_of({{1, 2, 3, 4}, {4, 3, 2, 1}, {-1, 2, -3, 4}, {1, 1, 1, 1}, {0.5, -2, 0, 8}});
  const RotaryRule rule{.xpos_scale_base = 2, .xpos_centre = 5 / 2};
  const auto query = tokens_of({{3.4999998, 3.1111112, 10.499999, 6.2222223},
                                {0.89475656, 3.7289982, 8.318618, 1.2845727},
                                {3.144039, 1.9196054, 0.3391431, 4.0391974},
                                {-0.6046051, 0.7773731, -0.45374143, 0.82547283},
                                {-0.093377665, -1.4903452, -0.108114645, 5.0873284}});
  const auto key = tokens_of({{0.2857143, 1.2857143, 0.8571429, 2.5714285},
                              {0.25564474, 2.3972132, 2.376748, 0.8257967},
                              {3.144039, 1.9196054, 0.3391431, 4.0391974},
                              {-2.1161177, 1.2092469, -1.5880951, 1.2840688},
                              {-1.1438762, -3.6062677, -1.3244042, 12.310079}});
  EXPECT_TRUE(close(turned(x.view(), 0, rule).view(), query.view(), twice(rotation(5, 28))));
  EXPECT_TRUE(
      close(turned(x.view(), 0, rule, Turn::key).view(), key.view(), twice(rotation(5, 28))));
}

// x-transformers 1.19.0: RotaryEmbedding(6, interpolation_factor = 2, base_rescale_factor = 3), whose base
// is 10000 * 3^(6/4).
TEST(Rotary, MatchesXTransformersInterpolated) {
  const auto x = tokens_of({{1, 2, 3, 4, 5, 6},
                            {1, 2, 3, 4, 5, 6},
                            {1, 2, 3, 4, 5, 6},
                            {1, 2, 3, 4, 5, 6},
                            {1, 2, 3, 4, 5, 6}});
  const auto expected =
      tokens_of({{1, 2, 3, 4, 5, 6},
                 {-1.0401196, 1.9328269, 2.9978454, 3.9897556, 5.0263486, 6.0010767},
                 {-2.8255816, 1.8653069, 2.9956903, 3.0026803, 5.0517945, 6.002153},
                 {-3.9192429, 1.7974519, 2.9935348, 1.2804438, 5.0763335, 6.0032277},
                 {-4.0533366, 1.7292742, 2.9913793, -0.75529, 5.0999618, 6.0043025}});
  const RotaryRule rule{.base = 51961.524f, .interpolation = 2};
  EXPECT_TRUE(close(turned(x.view(), 0, rule).view(), expected.view(), twice(rotation(5, 6))));
}

TEST(Rotary, WithoutXposItIsRope) {
  const auto x = random<float, 3>({9, 2, 32}, 1);
  auto by_rope = copy_of(x.view());
  rope(reference, 20, 10000, by_rope.view());
  for (Turn turn : {Turn::query, Turn::key}) {
    EXPECT_TRUE(close(turned(x.view(), 20, {}, turn).view(), by_rope.view(), kExact));
  }
}

TEST(Rotary, InterpolationPutsPositionsCloser) {
  const auto x = random<float, 3>({1, 2, 32}, 1);
  EXPECT_TRUE(close(turned(x.view(), 12, {.interpolation = 4}).view(),
                    turned(x.view(), 3, {}).view(), kExact));
}

// ... but not what is far: xPos counts whole positions.
TEST(Rotary, InterpolationLeavesTheFactorsAlone) {
  const auto x = random<float, 3>({1, 2, 32}, 1);
  RotaryRule near = kXpos, far = kXpos;
  far.interpolation = 4;
  near.xpos_centre = 3 - 12;  // c of 12 positions at position 3
  EXPECT_TRUE(close(turned(x.view(), 12, far).view(), turned(x.view(), 3, near).view(), kExact));
}

TEST(Rotary, TheCentreIsOnlyTurned) {
  const auto x = random<float, 3>({1, 2, 32}, 1);
  RotaryRule rule = kXpos;
  rule.xpos_centre = 70;
  EXPECT_TRUE(close(turned(x.view(), 70, rule).view(), turned(x.view(), 70, {}).view(), kExact));
  EXPECT_FALSE(close(turned(x.view(), 71, rule).view(), turned(x.view(), 71, {}).view(), kExact));
}

// The definition again, in double, feature by feature; b^e is exp(log(b) e).
Buffer<float, 3> oracle(View<const float, 3> x, Index first, const RotaryRule& rule, Turn turn) {
  const Index R = x.size(2);
  Buffer<float, 3> y(x.shape());
  for (Index t = 0; t < x.size(0); ++t) {
    const double p = static_cast<double>(first + t);
    const double from_centre = p - static_cast<double>(rule.xpos_centre);
    for (Index h = 0; h < R; ++h) {
      const bool upper = h >= R / 2;
      const double j = static_cast<double>(upper ? h - R / 2 : h), size = static_cast<double>(R);
      const double angle = p / rule.interpolation * std::exp(-std::log(rule.base) * 2 * j / size);
      const double s = (2 * j + 0.4 * size) / (1.4 * size);
      const double power = rule.xpos_scale_base > 0 ? from_centre / rule.xpos_scale_base : 0;
      const double c = std::exp(std::log(s) * (turn == Turn::query ? power : -power));
      for (Index n = 0; n < x.size(1); ++n) {
        const double other = upper ? x(t, n, h - R / 2) : -x(t, n, h + R / 2);
        y.view()(t, n, h) =
            static_cast<float>(c * (x(t, n, h) * std::cos(angle) + other * std::sin(angle)));
      }
    }
  }
  return y;
}

// 32 of 64 features are zeta's. Heads have an even size, so 7, 255 and 257 are numbers of tokens. No c is
// above 2: 1 / s is 3.5 at most, and no position is half a scale base from the centre.
TEST(Rotary, MatchesTheDefinition) {
  for (Index R : {2, 6, 32, 34, 128}) {
    for (Index T : {1, 7, 255, 257}) {
      for (Turn turn : {Turn::query, Turn::key}) {
        for (float scale_base : {0.0f, 512.0f}) {
          const RotaryRule rule{20000, 2, scale_base, (5 + T) / 2};
          const auto x = random<float, 3>({T, 3, R}, 1);
          EXPECT_TRUE(close(turned(x.view(), 5, rule, turn).view(),
                            oracle(x.view(), 5, rule, turn).view(), rotation(T + 5, 2)))
              << "T = " << T << ", R = " << R << ", scale base " << scale_base;
        }
      }
    }
  }
}

// With R = 4 the second frequency is 1/100, which no float is: see Rope.FrequenciesAndAnglesAreFloat.
TEST(Rotary, FrequenciesAndAnglesAreFloat) {
  const auto turned_by = [](double angle) {
    return tokens_of({{0, std::cos(angle), 0, std::sin(angle)}});
  };
  const auto y = turned(tokens_of({{0, 1, 0, 0}}).view(), 7019, {});
  EXPECT_TRUE(close(y.view(), turned_by(7019.0f * 0.01f).view(), float_sum_of(2)));
  EXPECT_FALSE(close(y.view(), turned_by(70.19).view(), float_sum_of(2)));
}

// q . k after both were turned, in double.
double score(const Buffer<float, 3>& q, Index q_position, const Buffer<float, 3>& k,
             Index k_position, const RotaryRule& rule) {
  const auto there = turned(q.view(), q_position, rule);
  const auto here = turned(k.view(), k_position, rule, Turn::key);
  double sum = 0;
  for (Index h = 0; h < q.view().size(2); ++h) {
    sum += double{there.view()(0, 0, h)} * double{here.view()(0, 0, h)};
  }
  return sum;
}

// Each of the R products of a score is of two turned numbers, each below 4 and off by `rotation`.
double score_error(Index R, Index position) {
  return static_cast<double>(R) * 2 * 4 * rotation(position, 2).absolute;
}

TEST(Rotary, ScoresDependOnTheDistanceOnly) {
  const Index R = 32;
  const auto q = random<float, 3>({1, 1, R}, 1), k = random<float, 3>({1, 1, R}, 2);
  const double near = score(q, 8, k, 3, kXpos);
  EXPECT_NEAR(score(q, 280, k, 275, kXpos), near, 2 * score_error(R, 280));
  EXPECT_GT(std::abs(score(q, 9, k, 3, kXpos) - near), 2 * score_error(R, 280));
}

// Nor on the centre, which so may be wherever a text has its middle.
TEST(Rotary, ScoresDoNotDependOnTheCentre) {
  const Index R = 32;
  const auto q = random<float, 3>({1, 1, R}, 1), k = random<float, 3>({1, 1, R}, 2);
  RotaryRule other = kXpos;
  other.xpos_centre = 100;
  EXPECT_NEAR(score(q, 80, k, 60, other), score(q, 80, k, 60, kXpos), 2 * score_error(R, 80));
}

// A pair of equal arrows, turned alike, so that all that is left is c: s^(512/512) = 2/7 for the first pair.
TEST(Rotary, ScoresFadeWithTheDistance) {
  const auto x = tokens_of({{1, 0}});
  const RotaryRule still{.interpolation = 1e9f, .xpos_scale_base = 512};
  EXPECT_NEAR(score(x, 600, x, 88, still), 0.4 / 1.4, 4 * kUnitRoundoff);
  EXPECT_NEAR(score(x, 600, x, 600, still), 1, 4 * kUnitRoundoff);
}

TEST(Rotary, OneTokenAtATimeGivesTheSameBits) {
  const auto x = random<float, 3>({9, 2, 16}, 1);
  auto whole = copy_of(x.view()), steps = copy_of(x.view());
  rotary(reference, 20, kXpos, Turn::key, whole.view());
  for (Index t = 0; t < 9; ++t) {
    rotary(reference, 20 + t, kXpos, Turn::key, steps.view().rows(t, t + 1));
  }
  EXPECT_TRUE(close(steps.view(), whole.view(), kExact));
}

// The first R of H features of each head: what stands behind them stays as it is.
TEST(Rotary, TurnsTheBeginningsOfHeads) {
  const Index T = 5, N = 2, H = 20, R = 16;
  auto heads = random<float, 3>({T, N, H}, 1);
  const auto before = random<float, 3>({T, N, H}, 1);
  rotary(reference, 3, kXpos, Turn::query,
         View<float, 3>(heads.view().data(), {T, N, R}, {N * H, H, 1}));

  Buffer<float, 3> alone({T, N, R});
  for (Index t = 0; t < T; ++t) {
    for (Index n = 0; n < N; ++n) {
      for (Index h = 0; h < R; ++h) alone.view()(t, n, h) = before.view()(t, n, h);
    }
  }
  rotary(reference, 3, kXpos, Turn::query, alone.view());
  for (Index t = 0; t < T; ++t) {
    for (Index n = 0; n < N; ++n) {
      for (Index h = 0; h < H; ++h) {
        const float expected = h < R ? alone.view()(t, n, h) : before.view()(t, n, h);
        EXPECT_EQ(heads.view()(t, n, h), expected) << "t = " << t << ", n = " << n << ", h = " << h;
      }
    }
  }
}

TEST(Rotary, RejectsAnOddHead) {
  auto x = random<float, 3>({1, 1, 7}, 1);
  EXPECT_THROW(rotary(reference, 0, {}, Turn::query, x.view()), ContractError);
}

}  // namespace
}  // namespace paligemma
