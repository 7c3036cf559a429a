#include "gemma/sampler.h"

#include <algorithm>
#include <limits>
#include <set>

#include "tensor/philox.h"
#include "tests/support/compare.h"
#include "tests/support/data.h"

namespace paligemma {
namespace {

using namespace test;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Logits whose softmax at temperature 1 is in proportion to `weights`.
Buffer<float, 1> logits_of(std::initializer_list<double> weights) {
  Buffer<float, 1> logits({static_cast<Index>(weights.size())});
  float* out = logits.view().data();
  for (double w : weights) *out++ = static_cast<float>(std::log(w));
  return logits;
}

// How often each token comes in `draws` draws under seeds 0, 1, 2, ..., as shares of one.
std::vector<double> shares(View<const float, 1> logits, SamplerOptions options, int draws) {
  std::vector<double> share(static_cast<std::size_t>(logits.size(0)));
  for (int seed = 0; seed < draws; ++seed) {
    options.seed = static_cast<std::uint64_t>(seed);
    share[sample(reference, logits, options, 0)] += 1.0 / draws;
  }
  return share;
}

// The tokens that come at all.
std::set<TokenId> drawn(View<const float, 1> logits, const SamplerOptions& options) {
  std::set<TokenId> ids;
  const auto share = shares(logits, options, 2000);
  for (std::size_t v = 0; v < share.size(); ++v) {
    if (share[v] > 0) ids.insert(static_cast<TokenId>(v));
  }
  return ids;
}

// A token of probability p comes in n independent draws with the share p, give or take the standard
// deviation sqrt(p (1 - p) / n). Five of them are passed by chance once in two million.
::testing::AssertionResult as_often_as(const std::vector<double>& share,
                                       const std::vector<double>& p, int draws) {
  for (std::size_t v = 0; v < p.size(); ++v) {
    const double deviation = std::sqrt(p[v] * (1 - p[v]) / draws);
    if (std::abs(share[v] - p[v]) <= 5 * deviation) continue;
    return ::testing::AssertionFailure() << "token " << v << " came with the share " << share[v]
                                         << ", expected " << p[v] << " +- " << 5 * deviation;
  }
  return ::testing::AssertionSuccess();
}

constexpr int kDraws = 20000;

// docs/gemma/sampler.md, "By hand": the tokens 1 and 2 are left, and 0.890 of 0.8 is behind the
// first of them.
TEST(Sampler, WorkedExample) {
  const auto logits = vector_of({1.3862944, 4.1588831, 2.7725887, 0});
  const SamplerOptions options{.temperature = 2, .top_k = 3, .top_p = 0.7f, .seed = 1};
  EXPECT_EQ(sample(reference, logits.view(), options, 0), 2);
  EXPECT_EQ(sample(reference, logits.view(), options, 2), 1);
  const Buffer<float, 1> log_p = vector_of({log_probability(reference, logits.view(), 2)});
  EXPECT_TRUE(close(log_p.view(), vector_of({-1.6700625}).view(), float_sum_of(4, 1)));
}

TEST(Sampler, GreedyTakesTheLargest) {
  for (Index V : {1, 7, 255, 257, 257216}) {
    const auto logits = random<float, 1>({V}, 1);
    const float* data = logits.view().data();
    EXPECT_EQ(sample(reference, logits.view(), {}, 0), std::max_element(data, data + V) - data);
  }
}

TEST(Sampler, GreedyTakesTheLowestIdOfEquals) {
  EXPECT_EQ(sample(reference, vector_of({-1, 5, 2, 5, 5}).view(), {}, 0), 1);
  EXPECT_EQ(sample(reference, vector_of({0, 0, 0}).view(), {}, 0), 0);
  EXPECT_EQ(sample(reference, vector_of({-0.0, 0.0}).view(), {}, 0), 0);
}

TEST(Sampler, GreedyAsksForNoRandomNumber) {
  const auto logits = random<float, 1>({257}, 1);
  const TokenId id = sample(reference, logits.view(), {}, 0);
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    EXPECT_EQ(sample(reference, logits.view(), {.seed = seed}, seed + 1), id);
  }
}

TEST(Sampler, DrawsInProportionToTheSoftmax) {
  const auto logits = logits_of({2, 8, 4, 1, 5});
  const auto share = shares(logits.view(), {.temperature = 1}, kDraws);
  EXPECT_TRUE(as_often_as(share, {0.1, 0.4, 0.2, 0.05, 0.25}, kDraws));
}

// Steps are as good as seeds: one run draws from the same softmax at every step.
TEST(Sampler, StepsAreIndependentDraws) {
  const auto logits = logits_of({1, 3});
  double share = 0;
  for (int step = 0; step < kDraws; ++step) {
    share += sample(reference, logits.view(), {.temperature = 1, .seed = 7},
                    static_cast<std::uint64_t>(step)) /
             static_cast<double>(kDraws);
  }
  EXPECT_TRUE(as_often_as({1 - share, share}, {0.25, 0.75}, kDraws));
}

// At temperature 1/2 the weights 1, 2, 3 become their squares, at 2 their roots.
TEST(Sampler, DividesByTheTemperature) {
  const auto logits = logits_of({1, 4, 9});
  EXPECT_TRUE(as_often_as(shares(logits.view(), {.temperature = 0.5f}, kDraws),
                          {1.0 / 98, 16.0 / 98, 81.0 / 98}, kDraws));
  EXPECT_TRUE(as_often_as(shares(logits.view(), {.temperature = 2}, kDraws),
                          {1.0 / 6, 2.0 / 6, 3.0 / 6}, kDraws));
}

TEST(Sampler, TinyTemperaturesAreGreedy) {
  const auto logits = vector_of({3, 700, 699.999, -4});
  for (float temperature : {1e-6f, 1e-30f, std::numeric_limits<float>::denorm_min()}) {
    EXPECT_EQ(drawn(logits.view(), {.temperature = temperature}), std::set<TokenId>{1});
  }
}

// Equals stay equals: greedy would take 1 and never 3.
TEST(Sampler, TinyTemperaturesShareAmongEquals) {
  const auto logits = vector_of({3, 700, -4, 700});
  const auto share =
      shares(logits.view(), {.temperature = std::numeric_limits<float>::denorm_min()}, kDraws);
  EXPECT_TRUE(as_often_as(share, {0, 0.5, 0, 0.5}, kDraws));
}

TEST(Sampler, HugeTemperaturesForgetTheLogits) {
  const auto logits = vector_of({3, 700, -400, 0});
  const auto share =
      shares(logits.view(), {.temperature = std::numeric_limits<float>::max()}, kDraws);
  EXPECT_TRUE(as_often_as(share, {0.25, 0.25, 0.25, 0.25}, kDraws));
}

TEST(Sampler, LargeLogitsDoNotOverflow) {
  const auto logits = vector_of({3e38, -3e38, 3e38});
  EXPECT_EQ(drawn(logits.view(), {.temperature = 0.1f}), (std::set<TokenId>{0, 2}));
}

TEST(Sampler, TopKKeepsTheLargestK) {
  const auto logits = logits_of({2, 8, 4, 1, 5});
  EXPECT_EQ(drawn(logits.view(), {.temperature = 1, .top_k = 1}), (std::set<TokenId>{1}));
  EXPECT_EQ(drawn(logits.view(), {.temperature = 1, .top_k = 3}), (std::set<TokenId>{1, 2, 4}));
  EXPECT_EQ(drawn(logits.view(), {.temperature = 1, .top_k = 9}),
            (std::set<TokenId>{0, 1, 2, 3, 4}));
}

// Hugging Face's top_k keeps every token that ties with the last one kept; here k is k.
TEST(Sampler, TopKTakesTheLowestIdsOfEquals) {
  const auto logits = vector_of({0, 0, 0, 0});
  EXPECT_EQ(drawn(logits.view(), {.temperature = 1, .top_k = 2}), (std::set<TokenId>{0, 1}));
}

TEST(Sampler, WhatIsLeftSharesTheWhole) {
  const auto logits = logits_of({2, 8, 4, 1, 5});
  EXPECT_TRUE(as_often_as(shares(logits.view(), {.temperature = 1, .top_k = 2}, kDraws),
                          {0, 8.0 / 13, 0, 0, 5.0 / 13}, kDraws));
  EXPECT_TRUE(as_often_as(shares(logits.view(), {.temperature = 1, .top_p = 0.5f}, kDraws),
                          {0, 8.0 / 13, 0, 0, 5.0 / 13}, kDraws));
}

// Probabilities 1/2, 1/4, 1/8, 1/8, all exact in float: the mass before them is 0, .5, .75, .875.
TEST(Sampler, TopPKeepsTheTokenThatCrossesIt) {
  const auto logits = logits_of({4, 2, 1, 1});
  const auto kept = [&](float top_p) {
    return drawn(logits.view(), {.temperature = 1, .top_p = top_p}).size();
  };
  EXPECT_EQ(kept(0.0f), 1u);  // the most probable one always stays
  EXPECT_EQ(kept(0.4f), 1u);
  EXPECT_EQ(kept(0.6f), 2u);
  EXPECT_EQ(kept(0.8f), 3u);
  EXPECT_EQ(kept(0.9f), 4u);
  EXPECT_EQ(kept(1.0f), 4u);
  EXPECT_EQ(kept(2.0f), 4u);
}

// Two equal tokens: the mass before the second is 1/2 exactly, and "at most 1/2" keeps it.
TEST(Sampler, TopPKeepsATokenWhenTheMassBeforeItEqualsP) {
  const auto logits = vector_of({0, 0});
  EXPECT_EQ(drawn(logits.view(), {.temperature = 1, .top_p = 0.5f}), (std::set<TokenId>{0, 1}));
  EXPECT_EQ(drawn(logits.view(), {.temperature = 1, .top_p = 0.4999f}), (std::set<TokenId>{0}));
}

// Probabilities .5, .3, .15, .05: before the second token is .5 of all, but .625 of the first two.
TEST(Sampler, TopPMeasuresShareOfAllTokensAlsoAfterTopK) {
  const auto logits = logits_of({50, 30, 15, 5});
  EXPECT_EQ(drawn(logits.view(), {.temperature = 1, .top_k = 2, .top_p = 0.55f}),
            (std::set<TokenId>{0, 1}));
}

// A token of probability 0.986, and a vocabulary of e^-16.7 each beside it: less than half of the last
// place of a float 1, so a float sum would lose them all, and 0.986 would become 1.
Buffer<float, 1> one_and_many_tiny() {
  Buffer<float, 1> logits({257216});
  std::fill_n(logits.view().data(), logits.view().count(), -16.7f);
  logits.view()(0) = 0;
  return logits;
}

TEST(Sampler, TopPCountsAVocabularyOfTinyShares) {
  const auto logits = one_and_many_tiny();
  std::uint64_t seed = 0;
  while (philox_uniform(seed, 0) < 0.999) ++seed;  // beyond the first token's share of those kept
  EXPECT_NE(sample(reference, logits.view(), {.temperature = 1, .top_p = 0.99f, .seed = seed}, 0),
            0);
}

TEST(Sampler, TopPActsAfterTheTemperature) {
  const auto logits = logits_of({1, 4, 9});  // .64 is the largest share at 1, .5 at 2
  EXPECT_EQ(drawn(logits.view(), {.temperature = 1, .top_p = 0.6f}), (std::set<TokenId>{2}));
  EXPECT_EQ(drawn(logits.view(), {.temperature = 2, .top_p = 0.6f}), (std::set<TokenId>{1, 2}));
}

// Any implementation that sorts stably and draws with Philox's number gives these ids: the walk
// through the sorted tokens again, in double.
TEST(Sampler, WalksTheSortedTokensToPhiloxsNumber) {
  const auto logits = logits_of({2, 8, 4, 1, 5});
  const TokenId sorted[] = {1, 4, 2, 0, 3};
  const double ends[] = {0.4, 0.65, 0.85, 0.95, 1};
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    for (std::uint64_t step = 0; step < 40; ++step) {
      const double u = philox_uniform(seed, step);
      const auto place = std::upper_bound(ends, ends + 5, u) - ends;
      EXPECT_EQ(sample(reference, logits.view(), {.temperature = 1, .seed = seed}, step),
                sorted[place])
          << "seed " << seed << ", step " << step << ", number " << u;
    }
  }
}

TEST(Sampler, IsRepeatedByItsSeedAndStep) {
  const auto logits = random<float, 1>({257}, 1);
  const SamplerOptions options{.temperature = 1, .seed = 5};
  std::vector<TokenId> first, second, other_seed;
  for (std::uint64_t step = 0; step < 32; ++step) {
    first.push_back(sample(reference, logits.view(), options, step));
    other_seed.push_back(sample(reference, logits.view(), {.temperature = 1, .seed = 6}, step));
  }
  for (std::uint64_t step = 32; step-- > 0;) {  // in any order: there is no state
    second.insert(second.begin(), sample(reference, logits.view(), options, step));
  }
  EXPECT_EQ(first, second);
  EXPECT_NE(first, other_seed);
  EXPECT_GT(std::set<TokenId>(first.begin(), first.end()).size(), 16u);
}

TEST(Sampler, SeedsAndStepsHave64Bits) {
  const auto logits = vector_of({0, 0, 0, 0, 0, 0, 0, 0});
  const auto ids = [&](std::uint64_t seed, std::uint64_t first_step) {
    std::vector<TokenId> drawn_ids;
    for (std::uint64_t i = 0; i < 32; ++i) {
      drawn_ids.push_back(
          sample(reference, logits.view(), {.temperature = 1, .seed = seed}, first_step + i));
    }
    return drawn_ids;
  };
  EXPECT_NE(ids(1, 0), ids(1 + (std::uint64_t{1} << 32), 0));
  EXPECT_NE(ids(1, 0), ids(1, std::uint64_t{1} << 32));
}

TEST(Sampler, NeverDrawsMinusInfinity) {
  const auto logits = vector_of({-kInfinity, 0, -kInfinity, 0, -kInfinity});
  for (float temperature : {1e-30f, 1.0f, std::numeric_limits<float>::max()}) {
    EXPECT_EQ(drawn(logits.view(), {.temperature = temperature}), (std::set<TokenId>{1, 3}));
  }
  EXPECT_EQ(sample(reference, logits.view(), {}, 0), 1);
}

TEST(Sampler, RefusesLogitsThatAreNotNumbers) {
  for (float temperature : {0.0f, 1.0f}) {
    const SamplerOptions options{.temperature = temperature};
    for (const auto& bad : {rows_of({{NAN, 1, 2}}), rows_of({{1, 2, NAN}}),
                            rows_of({{1, kInfinity, 2}}), rows_of({{-kInfinity, -kInfinity}})}) {
      EXPECT_THROW(sample(reference, bad.view().row(0), options, 0), std::runtime_error);
    }
  }
}

TEST(Sampler, RejectsOptionsThatMeanNothing) {
  const auto logits = vector_of({1, 2, 3});
  for (const SamplerOptions& bad :
       {SamplerOptions{.temperature = -1}, SamplerOptions{.temperature = NAN},
        SamplerOptions{.temperature = kInfinity}, SamplerOptions{.temperature = 1, .top_k = -1},
        SamplerOptions{.temperature = 1, .top_p = -0.1f},
        SamplerOptions{.temperature = 1, .top_p = NAN}}) {
    EXPECT_THROW(sample(reference, logits.view(), bad, 0), ContractError);
  }
  EXPECT_THROW(sample(reference, View<const float, 1>(), {}, 0), ContractError);
  EXPECT_THROW(log_probability(reference, logits.view(), 3), ContractError);
  EXPECT_THROW(log_probability(reference, logits.view(), -1), ContractError);
}

// One column of a table, every fourth number.
TEST(Sampler, TakesAStridedView) {
  const auto table = random<float, 2>({50, 4}, 1);
  const View<const float, 1> column(table.view().data() + 1, {50}, {4});
  Buffer<float, 1> copy({50});
  for (Index v = 0; v < 50; ++v) copy.view()(v) = column(v);
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const SamplerOptions options{.temperature = 1, .top_k = 20, .top_p = 0.9f, .seed = seed};
    EXPECT_EQ(sample(reference, column, options, 0), sample(reference, copy.view(), options, 0));
  }
  EXPECT_EQ(log_probability(reference, column, 7), log_probability(reference, copy.view(), 7));
}

// The relative error of the sum is an absolute error of its logarithm.
TEST(LogProbability, MatchesTheDefinition) {
  for (Index V : {1, 7, 255, 257, 257216}) {
    auto logits = random<float, 1>({V}, 1);
    for (Index v = 0; v < V; ++v) logits.view()(v) *= 5;
    double sum = 0;
    for (Index v = 0; v < V; ++v) sum += std::exp(static_cast<double>(logits.view()(v)));
    Buffer<float, 1> actual({3}), expected({3});
    const TokenId ids[] = {0, static_cast<TokenId>(V / 2), static_cast<TokenId>(V - 1)};
    for (Index i = 0; i < 3; ++i) {
      actual.view()(i) = log_probability(reference, logits.view(), ids[i]);
      expected.view()(i) = static_cast<float>(logits.view()(ids[i]) - std::log(sum));
    }
    EXPECT_TRUE(close(actual.view(), expected.view(), float_sum_of(V, 1))) << "V = " << V;
  }
}

TEST(LogProbability, CountsAVocabularyOfTinyShares) {
  const auto logits = one_and_many_tiny();
  const double others = 257215 * std::exp(static_cast<double>(logits.view()(1)));
  const auto expected = vector_of({-std::log1p(others)});
  const auto actual = vector_of({log_probability(reference, logits.view(), 0)});
  // An exponential within a unit in the last place, and the rounding of the logarithm.
  EXPECT_TRUE(close(actual.view(), expected.view(), float_operations(2 + 1)));
}

TEST(LogProbability, OfACertaintyIsZeroAndOfTheImpossibleMinusInfinity) {
  const auto logits = vector_of({-kInfinity, 1000, -1000});
  EXPECT_EQ(log_probability(reference, logits.view(), 1), 0);
  EXPECT_EQ(log_probability(reference, logits.view(), 2), -2000);
  EXPECT_EQ(log_probability(reference, logits.view(), 0), -kInfinity);
}

TEST(LogProbability, IgnoresWhatIsAddedToAllLogits) {
  const auto logits = vector_of({1, 2, 3, 4}), shifted = vector_of({4097, 4098, 4099, 4100});
  for (TokenId id = 0; id < 4; ++id) {
    EXPECT_EQ(log_probability(reference, logits.view(), id),
              log_probability(reference, shifted.view(), id));
  }
}

}  // namespace
}  // namespace paligemma
