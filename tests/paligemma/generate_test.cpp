#include "paligemma/generate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>

#include "tests/support/compare.h"
#include "tests/support/golden.h"

namespace paligemma {
namespace {

using namespace test;

struct Generated {
  std::vector<GeneratedToken> tokens;
  RecordedTaps taps;

  std::vector<TokenId> ids() const {
    std::vector<TokenId> ids;
    for (const GeneratedToken& token : tokens) ids.push_back(token.id);
    return ids;
  }
};

class Generate : public ::testing::TestWithParam<int> {
 protected:
  Generated run(
      const GenerateOptions& options, const std::function<bool(const GeneratedToken&)>& on_token =
                                          [](const auto&) { return true; }) const {
    Recorder recorder;
    Session<Reference> session(m_.model.text, m_.prefix(), m_.prefix() + options.max_tokens);
    auto tokens = generate(m_.model, m_.image_rows.view(), m_.golden.prompt_ids, session, options,
                           on_token, Tap(recorder));
    return {std::move(tokens), std::move(recorder.taps)};
  }
  std::vector<TokenId> first_of_golden(std::ptrdiff_t count) const {
    const auto& ids = m_.golden.generated_ids;
    return {ids.begin(), ids.begin() + count};
  }

  const GoldenModel m_{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(PaliGemma, Generate, ::testing::Values(1, 2));

// docs/paligemma/generate.md, "Step by step".
TEST_P(Generate, TakesTheLargestLogitOfEachStep) {
  const Generated run = this->run({.max_tokens = 5});
  EXPECT_EQ(run.ids(), first_of_golden(5));
  const RecordedTap& logits = run.taps.at("logits");
  ASSERT_EQ(logits.rows(), 5);
  for (Index step = 0; step < 5; ++step) {
    const auto row = logits.row(step);
    EXPECT_EQ(std::max_element(row.begin(), row.end()) - row.begin(), run.ids()[step]) << step;
  }
}

TEST_P(Generate, EndsWithAnEndTokenWhichIsPartOfTheResult) {
  const TokenId third = m_.golden.generated_ids[2];
  const Generated run = this->run({.max_tokens = 20, .end_tokens = {third, 1}});
  EXPECT_EQ(run.ids(), first_of_golden(3));
  EXPECT_EQ(run.taps.at("logits").rows(), 3);
}

TEST_P(Generate, EndsAfterMaxTokens) {
  EXPECT_EQ(run({.max_tokens = 1}).ids(), first_of_golden(1));
  EXPECT_TRUE(run({.max_tokens = 0}).tokens.empty());
}

TEST_P(Generate, EndsWhenTheListenerHasHeardEnough) {
  std::vector<TokenId> heard;
  const Generated run = this->run({.max_tokens = 20}, [&](const GeneratedToken& token) {
    heard.push_back(token.id);
    return heard.size() < 4;
  });
  EXPECT_EQ(heard, first_of_golden(4));
  EXPECT_EQ(run.ids(), heard);
}

TEST_P(Generate, TapsThePrefixOnceAndTheLogitsOfEveryStep) {
  const Generated run = this->run({.max_tokens = 3});
  EXPECT_EQ(run.taps.at("llm/embedded").rows(), m_.prefix());
  EXPECT_EQ(run.taps.at("llm/final_norm").rows(), m_.prefix());
  EXPECT_EQ(run.taps.at("logits").rows(), 3);
}

// log softmax, in double.
TEST_P(Generate, SaysHowSureTheModelWas) {
  const Generated run = this->run({.max_tokens = 4, .sampler = {.temperature = 1, .seed = 5}});
  for (Index step = 0; step < 4; ++step) {
    const auto logits = run.taps.at("logits").row(step);
    const double max = *std::max_element(logits.begin(), logits.end());
    double sum = 0;
    for (float logit : logits) sum += std::exp(logit - max);
    const GeneratedToken& token = run.tokens[step];
    const double expected = logits[token.id] - max - std::log(sum);
    const double magnitude = std::abs(logits[token.id]) + std::abs(max) + std::abs(std::log(sum));
    EXPECT_NEAR(token.log_probability, expected,
                float_sum_of(static_cast<Index>(logits.size())).relative * (magnitude + 1));
    EXPECT_LE(token.log_probability, 0);
    EXPECT_GE(token.milliseconds, 0);
  }
}

TEST_P(Generate, ListenersAreInNoTokensTime) {
  const std::chrono::milliseconds pause(20);
  const Generated run = this->run({.max_tokens = 4}, [&](const GeneratedToken&) {
    std::this_thread::sleep_for(pause);
    return true;
  });
  using Milliseconds = std::chrono::duration<double, std::milli>;
  for (std::size_t k = 1; k < run.tokens.size(); ++k) {
    const GeneratedToken& last = run.tokens[k - 1];
    EXPECT_GE(run.tokens[k].start - last.start - Milliseconds(last.milliseconds), pause) << k;
  }
}

TEST_P(Generate, DrawsStepNWithTheNthRandomNumber) {
  const SamplerOptions sampler{.temperature = 1, .seed = 3};
  const Generated run = this->run({.max_tokens = 6, .sampler = sampler});
  for (Index step = 0; step < 6; ++step) {
    const auto row = run.taps.at("logits").row(step);
    const View<const float, 1> logits(row.data(), {static_cast<Index>(row.size())});
    EXPECT_EQ(run.ids()[step], sample(reference, logits, sampler, step)) << step;
  }
}

TEST_P(Generate, TheSeedDecidesTheAnswer) {
  const auto with_seed = [&](std::uint64_t seed) {
    return run({.max_tokens = 16, .sampler = {.temperature = 1, .seed = seed}}).ids();
  };
  EXPECT_EQ(with_seed(7), with_seed(7));
  EXPECT_NE(with_seed(7), with_seed(8));
  EXPECT_NE(with_seed(7), first_of_golden(16));
}

TEST_P(Generate, WithoutTemperatureTheSeedDecidesNothing) {
  EXPECT_EQ(run({.max_tokens = 8, .sampler = {.seed = 1}}).ids(),
            run({.max_tokens = 8, .sampler = {.seed = 2}}).ids());
}

TEST_P(Generate, TheOneLikeliestTokenIsGreedy) {
  EXPECT_EQ(run({.max_tokens = 8, .sampler = {.temperature = 1, .top_k = 1, .seed = 9}}).ids(),
            first_of_golden(8));
}

}  // namespace
}  // namespace paligemma
