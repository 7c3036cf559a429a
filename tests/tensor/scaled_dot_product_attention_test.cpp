#include "tensor/scaled_dot_product_attention.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "tests/support/compare.h"
#include "tests/support/data.h"
#include "tests/support/gradients.h"

namespace paligemma {
namespace {

using namespace test;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

Buffer<KeyRange, 1> ranges_of(std::initializer_list<KeyRange> ranges) {
  Buffer<KeyRange, 1> buffer({static_cast<Index>(ranges.size())});
  std::copy(ranges.begin(), ranges.end(), buffer.view().data());
  return buffer;
}

// Rows as one head: [S, 1, H].
View<const float, 3> one_head(const Buffer<float, 2>& rows) {
  return rows.view().reshaped<3>({rows.view().size(0), 1, rows.view().size(1)});
}

// docs/tensor/scaled_dot_product_attention.md, "By hand". 1.0986123 is log 3.
TEST(ScaledDotProductAttention, WorkedExample) {
  const auto q = rows_of({{2, 0, 0, 0}});
  const auto k = rows_of({{0, 1, 0, 0}, {1.0986123, 0, 0, 0}, {9, 9, 9, 9}});
  const auto v = rows_of({{4, 0, 8, 0}, {0, 4, 0, 8}, {9, 9, 9, 9}});
  const auto visible = ranges_of({{0, 2}});
  Buffer<float, 3> out({1, 1, 4});
  scaled_dot_product_attention(reference, one_head(q), one_head(k), one_head(v), visible.view(),
                               {0.5f}, out.view());
  const auto expected = rows_of({{1, 3, 2, 6}});
  EXPECT_TRUE(close(out.view(), one_head(expected), float_sum_of(2 * 4)));
}

TEST(ScaledDotProductAttention, OfOneKeyIsItsValue) {
  const auto q = random<float, 3>({2, 4, 12}, 1), k = random<float, 3>({1, 1, 12}, 2),
             v = random<float, 3>({1, 1, 12}, 3);
  Buffer<float, 3> out({2, 4, 12});
  scaled_dot_product_attention(reference, q.view(), k.view(), v.view(), {}, {1}, out.view());
  for (Index t = 0; t < 2; ++t) {
    for (Index n = 0; n < 4; ++n) {
      EXPECT_TRUE(close(out.view().row(t).row(n), v.view().row(0).row(0), kExact));
    }
  }
}

// Scores 150 and 100 become 50 tanh(3) = 49.75 and 50 tanh(2) = 48.20: the first key gets a weight
// of 0.82 instead of 1.
TEST(ScaledDotProductAttention, CapsScoresAfterTheScale) {
  const auto q = rows_of({{10}}), k = rows_of({{30}, {20}}), v = rows_of({{1}, {0}});
  Buffer<float, 3> out({1, 1, 1});
  scaled_dot_product_attention(reference, one_head(q), one_head(k), one_head(v), {}, {0.5f, 50},
                               out.view());
  const double weight = 1 / (1 + std::exp(50 * std::tanh(2.0) - 50 * std::tanh(3.0)));
  const auto expected = rows_of({{weight}});
  // A score near 50 is rounded to a multiple of 2^-18, 64 float roundings at 1.
  EXPECT_TRUE(close(out.view(), one_head(expected), float_operations(2 * 64)));
}

struct Sizes {
  Index T, S, N, K, H;
};

struct Inputs {
  Buffer<float, 3> q, k, v;
  explicit Inputs(Sizes z)
      : q(random<float, 3>({z.T, z.N, z.H}, 1)),
        k(random<float, 3>({z.S, z.K, z.H}, 2)),
        v(random<float, 3>({z.S, z.K, z.H}, 3)) {}
};

Buffer<float, 3> attention(const Inputs& in, View<const KeyRange, 1> visible, AttentionRule rule) {
  Buffer<float, 3> out(in.q.view().shape());
  scaled_dot_product_attention(reference, in.q.view(), in.k.view(), in.v.view(), visible, rule,
                               out.view());
  return out;
}

TEST(ScaledDotProductAttention, SeesEveryKeyWithoutRanges) {
  const Inputs in({3, 5, 4, 2, 12});
  const auto all = ranges_of({{0, 5}, {0, 5}, {0, 5}});
  EXPECT_TRUE(
      close(attention(in, {}, {0.25f}).view(), attention(in, all.view(), {0.25f}).view(), kExact));
}

// Keys before and after the range: not even a NaN passes, as one would if masked weights were 0.
TEST(ScaledDotProductAttention, TakesNothingFromMaskedKeys) {
  for (const float soft_cap : {kNoSoftCap, 50.0f}) {
    Inputs in({2, 6, 4, 2, 12});
    const auto visible = ranges_of({{2, 5}, {2, 5}});
    const AttentionRule rule{0.25f, soft_cap};
    Buffer<float, 3> expected({2, 4, 12});
    scaled_dot_product_attention(reference, in.q.view(), in.k.view().rows(2, 5),
                                 in.v.view().rows(2, 5), {}, rule, expected.view());
    for (Index s : {0, 1, 5}) {
      for (Index i = 0; i < 2 * 12; ++i) {
        in.k.view().row(s).data()[i] = kNaN;
        in.v.view().row(s).data()[i] = kNaN;
      }
    }
    EXPECT_TRUE(close(attention(in, visible.view(), rule).view(), expected.view(), kExact));
  }
}

TEST(ScaledDotProductAttention, GivesEachQueryItsOwnRange) {
  const Inputs in({3, 4, 1, 1, 12});
  const auto visible = ranges_of({{0, 1}, {3, 4}, {1, 2}});
  const auto out = attention(in, visible.view(), {1});
  const Index seen[] = {0, 3, 1};
  for (Index t = 0; t < 3; ++t) {
    EXPECT_TRUE(close(out.view().row(t), in.v.view().row(seen[t]), kExact)) << "query " << t;
  }
}

// With N = 4 and K = 2 the heads share as 0 0 1 1, not as 0 1 0 1.
TEST(ScaledDotProductAttention, NeighbouringHeadsShareKeysAndValues) {
  Inputs in({1, 5, 4, 2, 12});
  for (Index n = 1; n < 4; ++n) {
    for (Index h = 0; h < 12; ++h) in.q.view()(0, n, h) = in.q.view()(0, 0, h);
  }
  const auto out = attention(in, {}, {0.25f});
  const auto head = [&](Index n) { return out.view().row(0).row(n); };
  EXPECT_TRUE(close(head(0), head(1), kExact));
  EXPECT_TRUE(close(head(2), head(3), kExact));
  EXPECT_FALSE(close(head(0), head(2), kExact));
}

TEST(ScaledDotProductAttention, ReadsSharedHeadsAsIfEachQueryHeadHadACopy) {
  const Inputs shared({3, 5, 6, 2, 12});
  Inputs copied({3, 5, 6, 6, 12});
  std::copy_n(shared.q.view().data(), 3 * 6 * 12, copied.q.view().data());
  for (Index s = 0; s < 5; ++s) {
    for (Index n = 0; n < 6; ++n) {
      for (Index h = 0; h < 12; ++h) {
        copied.k.view()(s, n, h) = shared.k.view()(s, n / 3, h);
        copied.v.view()(s, n, h) = shared.v.view()(s, n / 3, h);
      }
    }
  }
  EXPECT_TRUE(
      close(attention(shared, {}, {0.25f}).view(), attention(copied, {}, {0.25f}).view(), kExact));
}

TEST(ScaledDotProductAttention, StaysBetweenTheSmallestAndTheLargestValue) {
  Inputs in({7, 35, 4, 1, 12});
  for (Index i = 0; i < 35 * 12; ++i) in.v.view().data()[i] = i % 2 ? 3.0f : 5.0f;
  const auto out = attention(in, {}, {1});
  const double slack = float_sum_of(35).relative * 5;
  for (Index i = 0; i < out.view().count(); ++i) {
    EXPECT_GE(out.view().data()[i], 3 - slack);
    EXPECT_LE(out.view().data()[i], 5 + slack);
  }
}

TEST(ScaledDotProductAttention, ForgetsWhatTheOutputHeld) {
  const Inputs in({3, 5, 4, 1, 12});
  const auto once = attention(in, {}, {0.25f});
  Buffer<float, 3> twice_over({3, 4, 12});
  for (int run = 0; run < 2; ++run) {
    scaled_dot_product_attention(reference, in.q.view(), in.k.view(), in.v.view(), {}, {0.25f},
                                 twice_over.view());
  }
  EXPECT_TRUE(close(twice_over.view(), once.view(), kExact));
}

// q, k and v of a token side by side in one row, as one projection would write them.
TEST(ScaledDotProductAttention, ReadsAndWritesWindowsOfWiderRows) {
  constexpr Index T = 3, N = 4, K = 2, H = 12, W = (N + 2 * K) * H;
  auto fused = random<float, 2>({T, W}, 1);
  const auto window = [&](Index first, Index heads) {
    return View<float, 3>(&fused.view()(0, first * H), {T, heads, H}, {W, H, 1});
  };
  Inputs in({T, T, N, K, H});
  const auto fill = [](View<float, 3> from, View<float, 3> to) {
    for (Index t = 0; t < to.size(0); ++t) {
      std::copy_n(from.row(t).data(), to.row(t).count(), to.row(t).data());
    }
  };
  fill(window(0, N), in.q.view());
  fill(window(N, K), in.k.view());
  fill(window(N + K, K), in.v.view());
  Buffer<float, 2> wide({T, 2 * N * H});
  const View<float, 3> out(wide.view().data(), {T, N, H}, {2 * N * H, H, 1});
  scaled_dot_product_attention(reference, window(0, N), window(N, K), window(N + K, K), {}, {0.25f},
                               out);
  const auto expected = attention(in, {}, {0.25f});
  for (Index t = 0; t < T; ++t) {
    EXPECT_TRUE(close(out.row(t), expected.view().row(t), kExact)) << "row " << t;
    EXPECT_EQ(wide.view()(t, N * H), 0) << "row " << t;
  }
}

TEST(ScaledDotProductAttention, RejectsWrongShapes) {
  const auto run = [](Sizes q, Sizes k, Sizes v, Sizes out) {
    Buffer<float, 3> result({out.T, out.N, out.H});
    scaled_dot_product_attention(reference, Inputs(q).q.view(), Inputs(k).k.view(),
                                 Inputs(v).v.view(), {}, {1}, result.view());
  };
  const Sizes right{2, 5, 4, 2, 12};
  EXPECT_NO_THROW(run(right, right, right, right));
  EXPECT_THROW(run(right, {2, 5, 4, 2, 11}, right, right), ContractError);
  EXPECT_THROW(run(right, right, {2, 6, 4, 2, 12}, right), ContractError);
  EXPECT_THROW(run(right, right, {2, 5, 4, 1, 12}, right), ContractError);
  EXPECT_THROW(run(right, right, right, {3, 5, 4, 2, 12}), ContractError);
  const Sizes three_heads_for_four{2, 5, 4, 3, 12};
  EXPECT_THROW(run(right, three_heads_for_four, three_heads_for_four, right), ContractError);
}

TEST(ScaledDotProductAttention, RejectsRangesOutsideTheKeys) {
  const Inputs in({1, 5, 4, 2, 12});
  const auto run = [&](const auto& visible) { attention(in, visible.view(), {1}); };
  EXPECT_NO_THROW(run(ranges_of({{4, 5}})));
  EXPECT_THROW(run(ranges_of({{5, 5}})), ContractError);
  EXPECT_THROW(run(ranges_of({{3, 6}})), ContractError);
  EXPECT_THROW(run(ranges_of({{-1, 2}})), ContractError);
  EXPECT_THROW(run(ranges_of({{0, 5}, {0, 5}})), ContractError);
}

TEST(ScaledDotProductAttention, RejectsHeadsWhoseNumbersAreApart) {
  const Inputs in({2, 2, 2, 2, 2});
  const View<const float, 3> apart(in.q.view().data(), {2, 2, 2}, {4, 1, 2});
  Buffer<float, 3> out({2, 2, 2});
  const auto q = in.q.view(), k = in.k.view(), v = in.v.view();
  const auto run = [&](View<const float, 3> a, View<const float, 3> b) {
    scaled_dot_product_attention(reference, a, b, v, {}, {1}, out.view());
  };
  EXPECT_THROW(run(apart, k), ContractError);
  EXPECT_THROW(run(q, apart), ContractError);
}

// The definition again, in double, with a score for every key and minus infinity for masked ones.
struct Oracle {
  Buffer<float, 3> out, weights;  // [T, N, H], [T, N, S]
  Buffer<float, 2> log_sum_exp;   // [T, N]
};

// What is added to the score of query t of head n and key s.
using Bias = std::function<double(Index t, Index n, Index s)>;

Oracle oracle(const Inputs& in, View<const KeyRange, 1> visible, double scale, double soft_cap,
              const Bias& bias = {}) {
  const auto q = in.q.view(), k = in.k.view(), v = in.v.view();
  const Index T = q.size(0), N = q.size(1), S = k.size(0), group = N / k.size(1);
  Oracle o{Buffer<float, 3>(q.shape()), Buffer<float, 3>({T, N, S}), Buffer<float, 2>({T, N})};
  for (Index t = 0; t < T; ++t) {
    for (Index n = 0; n < N; ++n) {
      std::vector<double> weight;
      double sum = 0;
      for (Index s = 0; s < S; ++s) {
        double score = 0;
        for (Index h = 0; h < q.size(2); ++h) score += double{q(t, n, h)} * k(s, n / group, h);
        score *= scale;
        if (soft_cap > 0) score = soft_cap * std::tanh(score / soft_cap);
        if (bias) score += bias(t, n, s);
        const bool masked = s < visible(t).begin || s >= visible(t).end;
        weight.push_back(std::exp(masked ? -INFINITY : score));
        sum += weight.back();
      }
      o.log_sum_exp.view()(t, n) = static_cast<float>(std::log(sum));
      for (Index s = 0; s < S; ++s) o.weights.view()(t, n, s) = static_cast<float>(weight[s] / sum);
      for (Index h = 0; h < q.size(2); ++h) {
        double mean = 0;
        for (Index s = 0; s < S; ++s) mean += weight[s] / sum * v(s, n / group, h);
        o.out.view()(t, n, h) = static_cast<float>(mean);
      }
    }
  }
  return o;
}

// SigLIP-So400m, Gemma 2B, Gemma 2 2B and the golden models' heads; the rest are the sizes that
// break kernels.
TEST(ScaledDotProductAttention, MatchesTheDefinition) {
  constexpr Sizes kSizes[] = {{1, 1, 1, 1, 1},     {3, 7, 2, 1, 7},     {3, 255, 3, 3, 1},
                              {1, 257, 2, 2, 255}, {2, 7, 2, 1, 257},   {1, 256, 16, 16, 72},
                              {1, 276, 8, 1, 256}, {1, 276, 8, 4, 256}, {35, 35, 4, 1, 12},
                              {25, 25, 3, 3, 12}};
  for (const Sizes z : kSizes) {
    const Inputs in(z);
    Buffer<KeyRange, 1> visible({z.T});
    for (Index t = 0; t < z.T; ++t) {
      visible.view()(t) = {(t + 1) % (z.S / 2 + 1), std::max(z.S - t, z.S / 2 + 1)};
    }
    const double scale = 1 / std::sqrt(static_cast<double>(z.H));
    for (const float soft_cap : {kNoSoftCap, 0.5f}) {
      const auto out = attention(in, visible.view(), {static_cast<float>(scale), soft_cap});
      const auto expected = oracle(in, visible.view(), static_cast<float>(scale), soft_cap).out;
      // S weights, each from a sum of H products, and a mean of values that are at most 1.
      EXPECT_TRUE(close(out.view(), expected.view(), float_sum_of(z.S * z.H, 1)))
          << "T " << z.T << ", S " << z.S << ", N " << z.N << ", K " << z.K << ", H " << z.H
          << ", cap " << soft_cap;
    }
  }
}

// The mask of a sequence whose first query is token `first`, of all whose tokens are keys.
Buffer<KeyRange, 1> causal(Index T, Index first) {
  Buffer<KeyRange, 1> visible({T});
  for (Index t = 0; t < T; ++t) visible.view()(t) = {0, first + t + 1};
  return visible;
}

// Slopes, a table whose ends serve what is farther, and both; before the queries, beside and behind them.
TEST(ScaledDotProductAttention, AddsABiasByDistance) {
  constexpr Index T = 5, S = 12, N = 4, first = 7;
  const Inputs in({T, S, N, 2, 6});
  const Buffer<float, 1> slope = vector_of({0.5, 0.25, 0, 0.0625});
  const auto table = random<float, 2>({N, 4}, 9);
  const auto by_slope = [&](Index t, Index n, Index s) {
    return -slope.view()(n) * std::abs(static_cast<double>(s - (first + t)));
  };
  const auto by_table = [&](Index t, Index n, Index s) {  // of the distances -2 to 1
    const Index d = std::clamp<Index>(s - (first + t), -2, 1);
    return double{table.view()(n, d + 2)};
  };
  const auto both_ways = ranges_of({{0, S}, {0, S}, {3, S}, {0, S}, {0, 9}});
  const auto past = causal(T, first);
  for (const auto* visible : {&both_ways, &past}) {
    const auto expect = [&](const DistanceBias<>& bias, const Bias& added, float soft_cap) {
      Buffer<float, 3> out({T, N, 6});
      scaled_dot_product_attention(reference, in.q.view(), in.k.view(), in.v.view(),
                                   visible->view(), {0.4f, soft_cap}, out.view(), bias);
      const auto expected = oracle(in, visible->view(), 0.4f, soft_cap, added);
      EXPECT_TRUE(close(out.view(), expected.out.view(), float_sum_of(S * 6, 1)));
    };
    expect({.slope = slope.view(), .first_query = first}, by_slope, kNoSoftCap);
    expect({.table = table.view(), .first_query = first, .first_distance = -2}, by_table,
           kNoSoftCap);
    expect(
        {slope.view(), table.view(), first, -2},
        [&](Index t, Index n, Index s) { return by_slope(t, n, s) + by_table(t, n, s); }, 2);
  }
}

// docs/tensor/scaled_dot_product_attention.md, "By distance": log 3 against a slope of log 3 a key.
TEST(ScaledDotProductAttention, WorkedExampleOfASlope) {
  const auto q = rows_of({{2, 0, 0, 0}}), k = rows_of({{1.0986123, 0, 0, 0}, {0, 1, 0, 0}});
  const auto v = rows_of({{4, 0, 8, 0}, {0, 4, 0, 8}});
  const Buffer<float, 1> slope = vector_of({1.0986123});
  Buffer<float, 3> out({1, 1, 4});
  scaled_dot_product_attention(reference, one_head(q), one_head(k), one_head(v), {}, {0.5f},
                               out.view(), {.slope = slope.view(), .first_query = 1});
  const auto expected = rows_of({{2, 2, 4, 4}});
  EXPECT_TRUE(close(out.view(), one_head(expected), float_sum_of(2 * 4)));
}

TEST(ScaledDotProductAttention, ShowsItsWeightsAndWhatTheyWereDividedBy) {
  const Inputs in({3, 9, 4, 2, 6});
  const auto visible = ranges_of({{0, 1}, {2, 9}, {1, 8}});
  const auto expected = oracle(in, visible.view(), 0.5, 0);
  Buffer<float, 3> out({3, 4, 6}), weights({3, 4, 9});
  Buffer<float, 2> log_sum_exp({3, 4});
  std::fill_n(weights.view().data(), weights.view().count(), kNaN);
  scaled_dot_product_attention(reference, in.q.view(), in.k.view(), in.v.view(), visible.view(),
                               {0.5f}, out.view(), {}, {weights.view(), log_sum_exp.view()});
  EXPECT_TRUE(close(weights.view(), expected.weights.view(), float_sum_of(9 * 6, 1)));
  EXPECT_EQ(weights.view()(1, 0, 1), 0);  // unseen
  EXPECT_TRUE(close(log_sum_exp.view(), expected.log_sum_exp.view(), float_sum_of(9 * 6, 1)));
  EXPECT_TRUE(close(out.view(), attention(in, visible.view(), {0.5f}).view(), kExact));
}

// Keys and values of a picture, computed once; the queries are words, and in number no multiple of them.
TEST(ScaledDotProductAttention, MayLookAtSomethingElse) {
  const Inputs words({5, 3, 4, 4, 6}), picture({1, 3, 4, 4, 6});
  const Index rows[] = {0, 2, 3, 5};
  const auto all = attention(words, {}, {0.5f});
  for (int i = 0; i < 3; ++i) {  // steps of any length
    Buffer<float, 3> out({rows[i + 1] - rows[i], 4, 6});
    scaled_dot_product_attention(reference, words.q.view().rows(rows[i], rows[i + 1]),
                                 picture.k.view(), picture.v.view(), {}, {0.5f}, out.view());
    EXPECT_TRUE(close(out.view(), all.view().rows(rows[i], rows[i + 1]), kExact));
  }
}

TEST(ScaledDotProductAttention, RejectsABiasOrMapsOfOtherShapes) {
  const Inputs in({2, 5, 4, 2, 6});
  Buffer<float, 3> out({2, 4, 6});
  const auto run = [&](const DistanceBias<>& bias, AttentionMaps<> maps) {
    scaled_dot_product_attention(reference, in.q.view(), in.k.view(), in.v.view(), {}, {1},
                                 out.view(), bias, maps);
  };
  const Buffer<float, 1> four({4}), three({3});
  const Buffer<float, 2> table({4, 1}), short_table({3, 1}), empty_table({4, 0});
  EXPECT_NO_THROW(run({four.view(), table.view()}, {}));
  EXPECT_THROW(run({.slope = three.view()}, {}), ContractError);
  EXPECT_THROW(run({.table = short_table.view()}, {}), ContractError);
  EXPECT_THROW(run({.table = empty_table.view()}, {}), ContractError);
  Buffer<float, 3> weights({2, 4, 5}), of_other_keys({2, 4, 4});
  Buffer<float, 2> sums({2, 4}), of_other_heads({2, 2});
  EXPECT_NO_THROW(run({}, {weights.view(), sums.view()}));
  EXPECT_THROW(run({}, {.weights = of_other_keys.view()}), ContractError);
  EXPECT_THROW(run({}, {.log_sum_exp = of_other_heads.view()}), ContractError);
}

// ---- backward --------------------------------------------------------------------------------------

struct BackwardSizes {
  Index T, S, N, K, H;
};

Doubles definition(const BackwardSizes& z, AttentionRule rule, View<const KeyRange, 1> visible,
                   const Doubles& q, const Doubles& k, const Doubles& v) {
  const auto at = [H = z.H](const Doubles& rows, Index row, Index heads, Index head, Index h) {
    return rows[static_cast<std::size_t>((row * heads + head) * H + h)];
  };
  Doubles out(static_cast<std::size_t>(z.T * z.N * z.H));
  for (Index t = 0; t < z.T; ++t) {
    for (Index n = 0; n < z.N; ++n) {
      const Index g = n / (z.N / z.K);
      const KeyRange keys = visible.size(0) > 0 ? visible(t) : KeyRange{0, z.S};
      double sum = 0;
      for (Index s = keys.begin; s < keys.end; ++s) {
        double score = 0;
        for (Index h = 0; h < z.H; ++h) score += at(q, t, z.N, n, h) * at(k, s, z.K, g, h);
        score *= rule.scale;
        if (rule.soft_cap > 0) score = rule.soft_cap * std::tanh(score / rule.soft_cap);
        sum += std::exp(score);
        const double weight =
            std::exp(score) * double{dropout_factor(rule.dropout, t, n * z.S + s)};
        for (Index h = 0; h < z.H; ++h) {
          out[static_cast<std::size_t>((t * z.N + n) * z.H + h)] += weight * at(v, s, z.K, g, h);
        }
      }
      for (Index h = 0; h < z.H; ++h) {
        out[static_cast<std::size_t>((t * z.N + n) * z.H + h)] /= sum;
      }
    }
  }
  return out;
}

void expect_the_slope_of_the_definition(const BackwardSizes& z, AttentionRule rule,
                                        View<const KeyRange, 1> visible) {
  const auto q = random<float, 3>({z.T, z.N, z.H}, 1), k = random<float, 3>({z.S, z.K, z.H}, 2),
             v = random<float, 3>({z.S, z.K, z.H}, 3), dout = random<float, 3>({z.T, z.N, z.H}, 4);
  Buffer<float, 3> out({z.T, z.N, z.H});
  Buffer<float, 2> log_sum_exp({z.T, z.N});
  scaled_dot_product_attention(reference, q.view(), k.view(), v.view(), visible, rule, out.view(),
                               {}, {.log_sum_exp = log_sum_exp.view()});
  auto dq = random<float, 3>({z.T, z.N, z.H}, 5), dk = random<float, 3>({z.S, z.K, z.H}, 6),
       dv = random<float, 3>({z.S, z.K, z.H}, 7);
  const Doubles numbers[] = {doubles(q), doubles(k), doubles(v)};
  const auto slope = [&](int input) {
    const auto y = [&](const Doubles& changed) {
      return definition(z, rule, visible, input == 0 ? changed : numbers[0],
                        input == 1 ? changed : numbers[1], input == 2 ? changed : numbers[2]);
    };
    return gradient_of(y, numbers[input], doubles(dout));
  };
  const Doubles expected_dq = doubles(dq) + slope(0), expected_dk = doubles(dk) + slope(1),
                expected_dv = doubles(dv) + slope(2);
  scaled_dot_product_attention_backward(
      reference,
      {q.view(), k.view(), v.view(), visible, rule, std::as_const(out).view(),
       std::as_const(log_sum_exp).view()},
      dout.view(), {dq.view(), dk.view(), dv.view()});
  EXPECT_TRUE(is_gradient(dq, expected_dq, z.S + z.H));
  EXPECT_TRUE(is_gradient(dk, expected_dk, z.T * z.N + z.H));
  EXPECT_TRUE(is_gradient(dv, expected_dv, z.T * z.N + z.H));
}

// Two keys of equal weight, of which dropout may leave out some.
void expect_of_two_keys(const Dropout& dropout, std::initializer_list<double> out_,
                        const Buffer<float, 2>& dq_, const Buffer<float, 2>& dk_,
                        const Buffer<float, 2>& dv_) {
  const auto q = rows_of({{1, 0}}), k = rows_of({{0, 1}, {0, -1}}), v = rows_of({{3, 0}, {1, 0}}),
             dout = rows_of({{1, 0}});
  const AttentionRule rule{1, kNoSoftCap, dropout};
  Buffer<float, 3> out({1, 1, 2}), dq({1, 1, 2}), dk({2, 1, 2}), dv({2, 1, 2});
  Buffer<float, 2> log_sum_exp({1, 1});
  scaled_dot_product_attention(reference, one_head(q), one_head(k), one_head(v), {}, rule,
                               out.view(), {}, {.log_sum_exp = log_sum_exp.view()});
  scaled_dot_product_attention_backward(reference,
                                        {one_head(q),
                                         one_head(k),
                                         one_head(v),
                                         {},
                                         rule,
                                         std::as_const(out).view(),
                                         std::as_const(log_sum_exp).view()},
                                        one_head(dout), {dq.view(), dk.view(), dv.view()});
  const Tolerance rounding = float_operations(8);
  EXPECT_TRUE(close(out.view(), one_head(rows_of({out_})), rounding));
  EXPECT_TRUE(close(dq.view(), one_head(dq_), rounding));
  EXPECT_TRUE(close(dk.view(), one_head(dk_), rounding));
  EXPECT_TRUE(close(dv.view(), one_head(dv_), rounding));
}

// docs/tensor/scaled_dot_product_attention.md, "Backward".
TEST(ScaledDotProductAttentionBackward, WorkedExample) {
  expect_of_two_keys({}, {2, 0}, rows_of({{0, 1}}), rows_of({{0.5, 0}, {-0.5, 0}}),
                     rows_of({{0.5, 0}, {0.5, 0}}));
}

TEST(ScaledDotProductAttentionBackward, IsTheSlopeOfTheDefinition) {
  for (const float cap : {kNoSoftCap, 1.5f}) {
    SCOPED_TRACE("cap " + std::to_string(cap));
    expect_the_slope_of_the_definition({1, 1, 1, 1, 1}, {1, cap}, {});
    expect_the_slope_of_the_definition({3, 5, 2, 2, 7}, {0.5f, cap}, {});
    expect_the_slope_of_the_definition({5, 3, 6, 2, 3}, {2, cap}, {});
    expect_the_slope_of_the_definition({4, 4, 4, 1, 8}, {0.3f, cap}, {});
  }
}

// A prefix that sees itself, an answer that sees the past, and a window.
TEST(ScaledDotProductAttentionBackward, KeepsToTheMask) {
  const auto visible = ranges_of({{0, 2}, {0, 2}, {0, 3}, {1, 4}, {4, 5}});
  for (const float cap : {kNoSoftCap, 1.5f}) {
    expect_the_slope_of_the_definition({5, 5, 4, 2, 3}, {0.7f, cap}, visible.view());
  }
}

TEST(ScaledDotProductAttentionBackward, RejectsWrongShapes) {
  const Inputs in({2, 5, 4, 2, 6});
  Buffer<float, 3> rows({2, 4, 6}), keys({5, 2, 6}), few({1, 4, 6}), few_keys({4, 2, 6});
  Buffer<float, 2> sums({2, 4}), few_sums({2, 3});
  const auto run = [&](Buffer<float, 3>& dout, Buffer<float, 3>& dq, Buffer<float, 3>& dk,
                       Buffer<float, 3>& dv, Buffer<float, 2>& log_sum_exp) {
    scaled_dot_product_attention_backward(
        reference,
        {in.q.view(), in.k.view(), in.v.view(), {}, {1}, rows.view(), log_sum_exp.view()},
        dout.view(), {dq.view(), dk.view(), dv.view()});
  };
  EXPECT_NO_THROW(run(rows, rows, keys, keys, sums));
  EXPECT_THROW(run(few, rows, keys, keys, sums), ContractError);
  EXPECT_THROW(run(rows, few, keys, keys, sums), ContractError);
  EXPECT_THROW(run(rows, rows, few_keys, keys, sums), ContractError);
  EXPECT_THROW(run(rows, rows, keys, few_keys, sums), ContractError);
  EXPECT_THROW(run(rows, rows, keys, keys, few_sums), ContractError);
}

// ---- dropout ---------------------------------------------------------------------------------------

// docs/tensor/scaled_dot_product_attention.md, "Dropout": the second key is left out.
TEST(ScaledDotProductAttentionDropout, WorkedExample) {
  expect_of_two_keys({.rate = 0.5f}, {3, 0}, rows_of({{0, 3}}), rows_of({{1.5, 0}, {-1.5, 0}}),
                     rows_of({{1, 0}, {0, 0}}));
}

// Sums of weights are told as they were, and so are weights.
TEST(ScaledDotProductAttentionDropout, LeavesOutWeightsBehindTheSoftmax) {
  const Sizes z{3, 9, 4, 2, 6};
  const Inputs in(z);
  const auto visible = ranges_of({{0, 1}, {2, 9}, {1, 8}});
  const AttentionRule rule{0.5f, kNoSoftCap, {.rate = 0.4f, .seed = 1}};
  const auto plain = oracle(in, visible.view(), 0.5, 0);
  Buffer<float, 3> out({3, 4, 6}), weights({3, 4, 9});
  Buffer<float, 2> log_sum_exp({3, 4});
  scaled_dot_product_attention(reference, in.q.view(), in.k.view(), in.v.view(), visible.view(),
                               rule, out.view(), {}, {weights.view(), log_sum_exp.view()});
  EXPECT_TRUE(close(weights.view(), plain.weights.view(), float_sum_of(9 * 6, 1)));
  EXPECT_TRUE(close(log_sum_exp.view(), plain.log_sum_exp.view(), float_sum_of(9 * 6, 1)));
  Buffer<float, 3> expected({3, 4, 6});
  for (Index t = 0; t < 3; ++t) {
    for (Index n = 0; n < 4; ++n) {
      for (Index s = visible.view()(t).begin; s < visible.view()(t).end; ++s) {
        const float factor = dropout_factor(rule.dropout, t, n * 9 + s);
        for (Index h = 0; h < 6; ++h) {
          expected.view()(t, n, h) +=
              factor * plain.weights.view()(t, n, s) * in.v.view()(s, n / 2, h);
        }
      }
    }
  }
  EXPECT_TRUE(close(out.view(), expected.view(), float_sum_of(9 * 6, 2)));
}

TEST(ScaledDotProductAttentionDropout, BackwardIsTheSlopeOfTheDefinition) {
  const auto visible = ranges_of({{0, 2}, {0, 2}, {0, 3}, {1, 4}, {4, 5}});
  for (const float cap : {kNoSoftCap, 1.5f}) {
    for (const float rate : {0.1f, 0.6f}) {
      SCOPED_TRACE("cap " + std::to_string(cap) + ", rate " + std::to_string(rate));
      const Dropout dropout{.rate = rate, .seed = 3, .number = 2, .place = 1, .first = 4};
      expect_the_slope_of_the_definition({3, 5, 2, 2, 7}, {0.5f, cap, dropout}, {});
      expect_the_slope_of_the_definition({4, 4, 4, 1, 8}, {0.3f, cap, dropout}, {});
      expect_the_slope_of_the_definition({5, 5, 4, 2, 3}, {0.7f, cap, dropout}, visible.view());
    }
  }
}

TEST(ScaledDotProductAttentionDropout, RefusesRatesThatAreNone) {
  const Inputs in({2, 5, 4, 2, 6});
  Buffer<float, 3> rows({2, 4, 6}), keys({5, 2, 6});
  const Buffer<float, 3> out({2, 4, 6});
  const Buffer<float, 2> sums({2, 4});
  for (const float rate : {1.0f, -0.5f, kNaN}) {
    const AttentionRule rule{1, kNoSoftCap, {.rate = rate}};
    EXPECT_THROW(attention(in, {}, rule), ContractError);
    EXPECT_THROW(
        scaled_dot_product_attention_backward(
            reference, {in.q.view(), in.k.view(), in.v.view(), {}, rule, out.view(), sums.view()},
            out.view(), {rows.view(), keys.view(), keys.view()}),
        ContractError);
  }
}

}  // namespace
}  // namespace paligemma
