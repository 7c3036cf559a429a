#include "zeta/token_filter.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "tests/support/compare.h"
#include "tests/support/data.h"
#include "tests/support/zeta_tables.h"

namespace paligemma {
namespace {

using namespace test;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Logits whose softmax is in proportion to `weights`.
Buffer<float, 1> logits_of(std::initializer_list<double> weights) {
  Buffer<float, 1> logits({static_cast<Index>(weights.size())});
  float* out = logits.view().data();
  for (double w : weights) *out++ = static_cast<float>(std::log(w));
  return logits;
}

// The tokens that stay, each with the logit that it had.
std::set<Index> kept(const TokenFilter& filter, const Buffer<float, 1>& logits) {
  const Index V = logits.view().size(0);
  Buffer<float, 1> filtered({V});
  std::copy_n(logits.view().data(), V, filtered.view().data());
  filter_tokens(filter, filtered.view());
  std::set<Index> ids;
  for (Index v = 0; v < V; ++v) {
    if (filtered.view()(v) == -kInfinity) continue;
    EXPECT_EQ(filtered.view()(v), logits.view()(v)) << "token " << v;
    ids.insert(v);
  }
  return ids;
}

// docs/zeta/token_filter.md, "By hand".
TEST(TokenFilter, WorkedExample) {
  const auto logits = logits_of({2, 8, 4, 1, 5});  // p = 0.1, 0.4, 0.2, 0.05, 0.25
  EXPECT_EQ(kept({.top_k_share = 0.5}, logits), (std::set<Index>{1, 2, 4}));
  EXPECT_EQ(kept({.top_p = 0.6}, logits), (std::set<Index>{1, 4}));
  EXPECT_EQ(kept({.top_p = 0.7}, logits), (std::set<Index>{1, 2, 4}));
  EXPECT_EQ(kept({.top_a_ratio = 0.8}, logits), (std::set<Index>{1, 2, 4}));
  EXPECT_EQ(kept({.top_k_share = 0.1, .top_p = 0.9, .top_a_ratio = 0.5}, logits),
            (std::set<Index>{0, 1, 2, 4}));
}

// Logits that stay are the same bits, the others -infinity.
TEST(TokenFilter, IsWhatZetaComputes) {
  const Index V = 29;
  const auto expect = [&](const std::string& name, const TokenFilter& filter) {
    NpyArray logits = zeta_table("in/logits");
    for (Index row = 0; row < 3; ++row) {
      filter_tokens(filter, View<float, 1>(logits.numbers.data() + row * V, {V}));
    }
    EXPECT_EQ(logits.numbers, zeta_table("out/" + name).numbers) << name;
  };
  for (const auto& [name, number] : std::vector<std::pair<std::string, double>>{
           {"0.0", 0}, {"0.5", 0.5}, {"0.7", 0.7}, {"0.9", 0.9}, {"0.99", 0.99}}) {
    expect("top_k/" + name, {.top_k_share = number});
    expect("top_p/" + name, {.top_p = number});
    expect("top_p_as_zeta/" + name, {.top_p = 1 - number});
  }
  expect("top_a", {.top_a_ratio = 0.02});
}

TEST(TokenFilter, LeavesAllWhereNothingIsSet) {
  auto logits = random<float, 1>({257}, 1);
  EXPECT_EQ(kept({}, logits).size(), 257u);
  logits.view()(3) = NAN;  // it does not look either
  filter_tokens({}, logits.view());
}

// (1 - share) V in double, in this order, rounded up: not what exact numbers would give.
TEST(TokenFilter, RoundsTheNumberOfTokensAsPythonDoes) {
  const auto ten = random<float, 1>({10}, 1), hundred = random<float, 1>({100}, 1);
  EXPECT_EQ(kept({.top_k_share = 0.7}, ten).size(), 4u);
  EXPECT_EQ(kept({.top_k_share = 0.41}, hundred).size(), 60u);
  const std::vector<float> as_zeta = zeta_table("out/top_k_kept_of_100").numbers;
  for (Index percent = 0; percent < 100; ++percent) {
    const double share = static_cast<double>(percent) / 100;
    EXPECT_EQ(kept({.top_k_share = share}, hundred).size(), as_zeta[percent]) << share;
  }
  EXPECT_EQ(kept({.top_k_share = 0.9}, ten).size(), 1u);
  EXPECT_EQ(kept({.top_k_share = 0.99}, ten).size(), 1u);
  EXPECT_EQ(kept({.top_k_share = 1e-17}, ten).size(), 10u);
}

TEST(TokenFilter, OfEqualsTheLowestIdsStay) {
  const auto logits = vector_of({1, 2, 2, 0, 2});
  EXPECT_EQ(kept({.top_k_share = 0.6}, logits), (std::set<Index>{1, 2}));
  EXPECT_EQ(kept({.top_p = 0.3}, logits), (std::set<Index>{1, 2}));
}

TEST(TokenFilter, TopPKeepsTheTokenThatCrossesIt) {
  const auto logits = logits_of({1, 8, 1});
  EXPECT_EQ(kept({.top_p = 0}, logits), (std::set<Index>{1}));
  EXPECT_EQ(kept({.top_p = 0.79}, logits), (std::set<Index>{1}));
  EXPECT_EQ(kept({.top_p = 0.81}, logits), (std::set<Index>{0, 1}));
}

TEST(TokenFilter, TopPKeepsATokenWhenTheMassBeforeItEqualsP) {
  const auto logits = vector_of({0, 0, 0, 0});  // 0.25 each
  EXPECT_EQ(kept({.top_p = 0.5}, logits), (std::set<Index>{0, 1, 2}));
  EXPECT_EQ(kept({.top_p = std::nextafter(0.5, 0.0)}, logits), (std::set<Index>{0, 1}));
}

TEST(TokenFilter, TopAComparesWithAPowerOfTheLargest) {
  const auto logits = logits_of({2, 8, 4, 1, 5});
  EXPECT_EQ(kept({.top_a_ratio = 0.3}, logits), (std::set<Index>{0, 1, 2, 3, 4}));  // 0.048
  EXPECT_EQ(kept({.top_a_ratio = 0.32}, logits), (std::set<Index>{0, 1, 2, 4}));    // 0.0512
  EXPECT_EQ(kept({.top_a_ratio = 0.3, .top_a_power = 1}, logits),
            (std::set<Index>{1, 2, 4}));  // 0.12
  EXPECT_EQ(kept({.top_a_ratio = 1, .top_a_power = 1}, logits), (std::set<Index>{1}));
}

// The sets of the three rules, worked out apart.
TEST(TokenFilter, ATokenStaysIfEveryRuleKeepsIt) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    auto logits = random<float, 1>({37}, seed);
    for (Index v = 0; v < 37; ++v) logits.view()(v) *= 4;
    const std::set<Index> k = kept({.top_k_share = 0.7}, logits), p = kept({.top_p = 0.8}, logits),
                          a = kept({.top_a_ratio = 0.3}, logits);
    std::set<Index> both, all;
    std::set_intersection(k.begin(), k.end(), p.begin(), p.end(), std::inserter(both, both.end()));
    std::set_intersection(both.begin(), both.end(), a.begin(), a.end(),
                          std::inserter(all, all.end()));
    EXPECT_EQ(kept({.top_k_share = 0.7, .top_p = 0.8, .top_a_ratio = 0.3}, logits), all);
    EXPECT_FALSE(all.empty());
  }
}

// The definitions in double, by looking at every other token.
TEST(TokenFilter, MatchesTheDefinition) {
  for (Index V : {1, 7, 255, 257}) {
    auto logits = random<float, 1>({V}, 1);
    for (Index v = 0; v < V; ++v) logits.view()(v) *= 5;
    double sum = 0;
    for (Index v = 0; v < V; ++v) sum += std::exp(double{logits.view()(v)});
    const auto p = [&](Index v) { return std::exp(double{logits.view()(v)}) / sum; };
    std::set<Index> k, mass, a;
    const double largest =
        p(std::max_element(logits.view().data(), logits.view().data() + V) - logits.view().data());
    for (Index v = 0; v < V; ++v) {
      double before = 0;
      Index larger = 0;
      for (Index w = 0; w < V; ++w) {
        if (logits.view()(w) > logits.view()(v)) before += p(w), ++larger;
      }
      if (static_cast<double>(larger) < std::ceil((1 - 0.8) * static_cast<double>(V))) k.insert(v);
      if (before <= 0.9) mass.insert(v);
      if (p(v) >= 0.05 * largest * largest) a.insert(v);
    }
    EXPECT_EQ(kept({.top_k_share = 0.8}, logits), k) << "V = " << V;
    EXPECT_EQ(kept({.top_p = 0.9}, logits), mass) << "V = " << V;
    EXPECT_EQ(kept({.top_a_ratio = 0.05}, logits), a) << "V = " << V;
  }
}

// 257215 tokens of e^-16.7 each beside one of 0: a float sum would lose them, and 0.986 would be 1.
TEST(TokenFilter, CountsAVocabularyOfTinyShares) {
  Buffer<float, 1> logits({257216});
  std::fill_n(logits.view().data(), logits.view().count(), -16.7f);
  logits.view()(0) = 0;
  const auto ids = kept({.top_p = 0.99}, logits);
  EXPECT_GT(ids.size(), 60'000u);
  EXPECT_LT(ids.size(), 90'000u);
}

// 18010 x 1/20011 is the first multiple above 0.9; in float their sum is off by more than one of them.
TEST(TokenFilter, AddsUpManySmallSharesInDouble) {
  const Buffer<float, 1> logits({20011});
  EXPECT_EQ(kept({.top_p = 0.9}, logits).size(), 18010u);
}

TEST(TokenFilter, WhatIsMinusInfinityStaysSo) {
  const auto logits = vector_of({-kInfinity, 0, -kInfinity, 1, -kInfinity});
  EXPECT_EQ(kept({.top_k_share = 0.2}, logits), (std::set<Index>{1, 3}));
  EXPECT_EQ(kept({.top_p = 0.999}, logits), (std::set<Index>{1, 3}));
}

TEST(TokenFilter, RefusesLogitsThatAreNotNumbers) {
  for (const TokenFilter& filter : {TokenFilter{.top_k_share = 0.5}, TokenFilter{.top_p = 0.5},
                                    TokenFilter{.top_a_ratio = 0.5}}) {
    for (const auto& bad : {rows_of({{NAN, 1, 2}}), rows_of({{1, 2, NAN}}),
                            rows_of({{1, kInfinity, 2}}), rows_of({{-kInfinity, -kInfinity}})}) {
      Buffer<float, 1> logits({bad.view().size(1)});
      std::copy_n(bad.view().data(), bad.view().count(), logits.view().data());
      EXPECT_THROW(filter_tokens(filter, logits.view()), std::runtime_error);
    }
  }
}

TEST(TokenFilter, RejectsRulesThatCouldDropAll) {
  auto logits = vector_of({1, 2, 3});
  for (const TokenFilter& bad :
       {TokenFilter{.top_k_share = 1}, TokenFilter{.top_k_share = -0.1},
        TokenFilter{.top_k_share = NAN}, TokenFilter{.top_p = -0.1}, TokenFilter{.top_p = 1.1},
        TokenFilter{.top_p = NAN}, TokenFilter{.top_a_ratio = -0.1},
        TokenFilter{.top_a_ratio = 1.1}, TokenFilter{.top_a_ratio = NAN},
        TokenFilter{.top_a_power = 0.9}, TokenFilter{.top_a_power = NAN}}) {
    EXPECT_THROW(filter_tokens(bad, logits.view()), ContractError);
  }
  EXPECT_THROW(filter_tokens({.top_p = 0.5}, View<float, 1>()), ContractError);
}

// One column of a table: its neighbours are left alone.
TEST(TokenFilter, TakesAStridedView) {
  auto table = random<float, 2>({50, 4}, 1);
  const auto before = random<float, 2>({50, 4}, 1);
  Buffer<float, 1> column({50});
  for (Index v = 0; v < 50; ++v) column.view()(v) = table.view()(v, 1);
  filter_tokens({.top_p = 0.8}, View<float, 1>(table.view().data() + 1, {50}, {4}));
  filter_tokens({.top_p = 0.8}, column.view());
  for (Index v = 0; v < 50; ++v) {
    EXPECT_EQ(table.view()(v, 1), column.view()(v));
    EXPECT_EQ(table.view()(v, 0), before.view()(v, 0));
    EXPECT_EQ(table.view()(v, 2), before.view()(v, 2));
  }
}

}  // namespace
}  // namespace paligemma
