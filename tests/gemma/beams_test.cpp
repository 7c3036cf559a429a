#include "gemma/beams.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "gemma/sampler.h"
#include "tests/support/compare.h"
#include "tests/support/data.h"

namespace paligemma {
namespace {

using namespace test;
using Ids = std::vector<TokenId>;

// Three tokens, of which 2 ends. What follows depends on the last token alone.
class Chain {
 public:
  using Row = std::vector<double>;

  explicit Chain(Row first, std::vector<Row> after) : first_(first), after_(std::move(after)) {}

  std::vector<Beams::Beam> search(const BeamOptions& options, Index max_tokens,
                                  const std::set<TokenId>& ends = {2}) const {
    Beams beams(options, max_tokens, ends);
    steps = 0;
    while (beams.goes_on()) {
      const auto running = beams.running();
      const auto V = static_cast<Index>(first_.size());
      Buffer<float, 2> rows({static_cast<Index>(running.size()), V});
      for (std::size_t b = 0; b < running.size(); ++b) {
        const Row& p = running[b].ids.empty()
                           ? first_
                           : after_[static_cast<std::size_t>(running[b].ids.back())];
        for (Index v = 0; v < V; ++v) {
          rows.view()(static_cast<Index>(b), v) =
              static_cast<float>(std::log(p[static_cast<std::size_t>(v)]));
        }
      }
      beams.step(std::as_const(rows).view(), std::as_const(rows).view());
      ++steps;
    }
    return {beams.finished().begin(), beams.finished().end()};
  }
  mutable int steps = 0;

 private:
  Row first_;
  std::vector<Row> after_;
};

std::vector<Ids> ids_of(const std::vector<Beams::Beam>& beams) {
  std::vector<Ids> all;
  for (const Beams::Beam& beam : beams) all.push_back(beam.ids);
  return all;
}

// 0 looks better at first, 1 leads to more.
const Chain kTrap({0.5, 0.4, 0.1}, {{0.4, 0.3, 0.3}, {0.05, 0.05, 0.9}, {}});

// docs/gemma/beams.md, "By hand".
TEST(Beams, WorkedExample) {
  const auto greedy = kTrap.search({.beams = 1, .length_penalty = 0}, 2);
  EXPECT_EQ(ids_of(greedy), (std::vector<Ids>{{0, 0}}));
  EXPECT_FLOAT_EQ(greedy[0].score, std::log(0.5f * 0.4f));
  const auto two = kTrap.search({.beams = 2, .length_penalty = 0}, 2);
  EXPECT_EQ(ids_of(two), (std::vector<Ids>{{1, 2}, {0, 0}}));
  EXPECT_FLOAT_EQ(two[0].score, std::log(0.4f * 0.9f));
  EXPECT_FLOAT_EQ(two[1].score, std::log(0.5f * 0.4f));
}

TEST(Beams, ScoresAreDividedByAPowerOfTheLength) {
  for (const float penalty : {-1.0f, 0.0f, 0.5f, 1.0f, 2.0f}) {
    const auto found = kTrap.search({.beams = 2, .length_penalty = penalty}, 2);
    EXPECT_NEAR(found[0].score, std::log(0.36) / std::pow(2, penalty), 1e-6) << penalty;
  }
}

// A short answer has few factors below 1; divided by the length a long one may be better.
TEST(Beams, TheLengthPenaltyDecidesHowLongAnAnswerIs) {
  const Chain even({0.6, 0.1, 0.3}, {{0.7, 0.1, 0.2}, {0.7, 0.1, 0.2}, {}});
  const auto longest = [&](float penalty) {
    return even.search({.beams = 2, .length_penalty = penalty}, 6)[0].ids.size();
  };
  EXPECT_EQ(longest(-2), 1u);
  EXPECT_EQ(longest(3), 6u);
}

// An end token that is not among the best `beams` candidates ends nothing.
TEST(Beams, OnlyTheBestCandidatesMayEnd) {
  const Chain chain({0.45, 0.35, 0.2}, {{0.5, 0.3, 0.2}, {0.5, 0.3, 0.2}, {}});
  for (const auto& beam : chain.search({.beams = 2, .length_penalty = 0}, 3)) {
    EXPECT_EQ(beam.ids.size(), 3u);
  }
}

TEST(Beams, WhatRunsAtTheEndIsFinished) {
  const Chain endless({0.6, 0.4, 0}, {{0.6, 0.4, 0}, {0.6, 0.4, 0}, {}});
  const auto found = endless.search({.beams = 3, .length_penalty = 0}, 2);
  EXPECT_EQ(ids_of(found), (std::vector<Ids>{{0, 0}, {0, 1}, {1, 0}}));
}

// What stops ends as an end token does, and no beam goes on behind it.
TEST(Beams, StopsEndAnswersToo) {
  Beams beams({.beams = 2, .length_penalty = 0}, 9, {},
              [](std::span<const TokenId> ids) { return ids.back() == 1; });
  const auto row = rows_of({{-2, -1, -3}});
  beams.step(row.view(), row.view());
  ASSERT_EQ(beams.finished().size(), 1u);
  EXPECT_EQ(beams.finished()[0].ids, Ids{1});
  ASSERT_EQ(beams.running().size(), 2u);
  EXPECT_EQ(beams.running()[0].ids, Ids{0});
  EXPECT_EQ(beams.running()[1].ids, Ids{2});
}

// However many of the best candidates end, as many beams go on; and no more answers are kept.
TEST(Beams, GoOnBesideThoseThatEnd) {
  Beams beams({.beams = 2, .length_penalty = 0}, 9, {2, 3});
  const auto row = rows_of({{-3, -4, -1, -2}});
  beams.step(row.view(), row.view());
  EXPECT_EQ(beams.running().size(), 2u);
  EXPECT_EQ(beams.running()[0].ids, Ids{0});
  EXPECT_EQ(beams.finished().size(), 2u);
  const Chain ending({0.5, 0.1, 0.4}, {{0.6, 0, 0.4}, {0, 0, 1}, {}});
  EXPECT_EQ(ending.search({.beams = 2, .early_stopping = EarlyStopping::never}, 9).size(), 2u);
}

// Steps until the search is sure, as docs/gemma/beams.md tells.
TEST(Beams, EarlyStoppingSaysWhenItIsEnough) {
  const Chain chain({0.2, 0.3, 0.5}, {{0.55, 0.05, 0.4}, {0.3, 0.3, 0.4}, {}});
  const auto steps = [&](EarlyStopping when, float penalty) {
    chain.search({.beams = 2, .length_penalty = penalty, .early_stopping = when}, 40);
    return chain.steps;
  };
  EXPECT_EQ(steps(EarlyStopping::yes, 1), 2);
  EXPECT_GE(steps(EarlyStopping::no, 1), 2);
  EXPECT_GT(steps(EarlyStopping::never, 1), steps(EarlyStopping::no, 1));
  EXPECT_EQ(steps(EarlyStopping::never, 0), steps(EarlyStopping::no, 0));
}

// After two steps two answers are finished, of which the second is bad, and a good one runs.
TEST(Beams, ARunningAnswerNeedOnlyBeatTheWorstFinishedOne) {
  const Chain chain({0.5, 0.1, 0.4}, {{0.9, 0, 0.1}, {0.01, 0.01, 0.98}, {}});
  const auto steps = [&](EarlyStopping when, float penalty) {
    chain.search({.beams = 2, .length_penalty = penalty, .early_stopping = when}, 40);
    return chain.steps;
  };
  EXPECT_EQ(steps(EarlyStopping::yes, -1), 2);
  EXPECT_GT(steps(EarlyStopping::no, -1), 2);
  EXPECT_EQ(steps(EarlyStopping::never, -1), steps(EarlyStopping::no, -1));
}

TEST(Beams, OfEqualsTheBetterBeamAndTheLowestIdComeFirst) {
  const Chain flat({0.25, 0.25, 0.25, 0.25}, {4, {0.25, 0.25, 0.25, 0.25}});
  const auto found = flat.search({.beams = 3, .length_penalty = 0}, 2, {});
  EXPECT_EQ(ids_of(found), (std::vector<Ids>{{0, 0}, {0, 1}, {0, 2}}));
}

TEST(Beams, KnowTheirParents) {
  Beams beams({.beams = 2}, 5, {});
  const auto rows = rows_of({{std::log(0.7f), std::log(0.3f)}});
  beams.step(rows.view(), rows.view());
  EXPECT_EQ(beams.running()[0].parents.back(), 0);
  EXPECT_EQ(beams.running()[1].parents.back(), 0);
  const auto two = rows_of({{std::log(0.5f), std::log(0.5f)}, {std::log(1e-3f), 0}});
  const auto plain = rows_of({{-1, -2}, {-3, -4}});
  beams.step(two.view(), plain.view());
  EXPECT_EQ(beams.running()[0].parents.back(), 0);  // 0.7 * 0.5 beside 0.3 * 1
  EXPECT_EQ(beams.running()[1].parents.back(), 0);
  EXPECT_EQ(beams.running()[1].log_probabilities, (std::vector<float>{std::log(0.7f), -2}));
  const auto other = rows_of({{-9, -9}, {0, -9}});
  beams.step(other.view(), other.view());
  EXPECT_EQ(beams.running()[0].parents.back(), 1);
  EXPECT_EQ(beams.running()[0].ids, (Ids{0, 1, 0}));
  EXPECT_EQ(beams.running()[0].parents, (std::vector<Index>{0, 0, 1}));
}

TEST(Beams, WhatIsForbiddenNeverComes) {
  Beams beams({.beams = 3}, 2, {});
  const auto rows = rows_of({{-INFINITY, -1, -INFINITY}});
  beams.step(rows.view(), rows.view());
  ASSERT_EQ(beams.running().size(), 1u);
  EXPECT_EQ(beams.running()[0].ids, Ids{1});
  const auto none = rows_of({{-INFINITY, -INFINITY, -INFINITY}});
  EXPECT_THROW(beams.step(none.view(), none.view()), std::runtime_error);
}

TEST(Beams, RefuseWhatIsNoNumber) {
  for (const float bad : {NAN, INFINITY}) {
    Beams beams({.beams = 2}, 2, {});
    const auto rows = rows_of({{0, bad}});
    EXPECT_THROW(beams.step(rows.view(), rows.view()), std::runtime_error) << bad;
  }
}

TEST(Beams, RejectWhatMakesNoSense) {
  EXPECT_THROW(Beams({.beams = 0}, 2, {}), ContractError);
  EXPECT_THROW(Beams({.beams = 2}, 0, {}), ContractError);
  EXPECT_THROW(Beams({.length_penalty = NAN}, 2, {}), ContractError);
  Beams beams({.beams = 2}, 1, {});
  const auto two = rows_of({{0, -1}, {0, -1}}), one = rows_of({{0, -1}});
  EXPECT_THROW(beams.step(two.view(), two.view()), ContractError);
  EXPECT_THROW(beams.step(one.view(), two.view()), ContractError);
  beams.step(one.view(), one.view());
  EXPECT_FALSE(beams.goes_on());
  EXPECT_THROW(beams.step(one.view(), one.view()), ContractError);
}

TEST(LogSoftmax, IsTheSamplersLogProbability) {
  const auto logits = rows_of({{3, -1, 100, 99.5f, -INFINITY}});
  Buffer<float, 1> y({5});
  log_softmax(logits.view().row(0), y.view());
  for (TokenId id = 0; id < 5; ++id) {
    EXPECT_EQ(y.view()(id), log_probability(reference, logits.view().row(0), id)) << id;
  }
}

}  // namespace
}  // namespace paligemma
