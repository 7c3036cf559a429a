#include "paligemma/batch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "tests/support/golden.h"

namespace paligemma {
namespace {

using namespace test;
using Ids = std::vector<TokenId>;

bool take_all(const GeneratedToken&) { return true; }

class BatchOf : public ::testing::TestWithParam<int> {
 protected:
  using ABatch = Batch<Reference, HostWeights<float>, View<const float, 2>>;
  struct Answer {
    std::vector<GeneratedToken> tokens;
    bool has_ended = false;
  };

  // The picture and so many words of the prompt, all of them first.
  Ids prompt(Index words) const {
    const Ids& all = m_.golden.prompt_ids;
    return {all.begin(), all.end() - words};
  }
  Answer alone(const Ids& prompt, const GenerateOptions& options) const {
    const auto T = static_cast<Index>(prompt.size());
    Session<Reference> session(m_.model.text, T, T + options.max_tokens);
    return {generate(m_.model, m_.image_rows.view(), prompt, session, options, take_all, NoTap()),
            true};
  }
  ABatch::Request request(const Ids& prompt, const GenerateOptions& options, Answer& answer) const {
    return {m_.image_rows.view(), prompt, options,
            [&](const GeneratedToken& token) {
              EXPECT_FALSE(answer.has_ended);
              answer.tokens.push_back(token);
              return true;
            },
            [&] { answer.has_ended = true; }};
  }
  static void expect_equal(const Answer& found, const Answer& expected) {
    EXPECT_TRUE(found.has_ended);
    ASSERT_EQ(found.tokens.size(), expected.tokens.size());
    for (std::size_t i = 0; i < found.tokens.size(); ++i) {
      EXPECT_EQ(found.tokens[i].id, expected.tokens[i].id) << i;
      EXPECT_EQ(found.tokens[i].log_probability, expected.tokens[i].log_probability) << i;
      ASSERT_EQ(found.tokens[i].likeliest.size(), expected.tokens[i].likeliest.size()) << i;
    }
  }

  const GoldenModel m_{GetParam()};
};
INSTANTIATE_TEST_SUITE_P(PaliGemma, BatchOf, ::testing::Values(1, 2));

// Bit for bit; six of other lengths and ways to choose, three at once, so that three have waited.
TEST_P(BatchOf, EachAnswerIsWhatItIsAlone) {
  const std::vector<std::pair<Index, GenerateOptions>> asked{
      {1, {.max_tokens = 7}},
      {0, {.max_tokens = 1}},
      {0, {.max_tokens = 0}},
      {2, {.max_tokens = 4, .sampler = {.temperature = 1.5f, .seed = 3}}},
      {0, {.max_tokens = 24, .rules = {.no_repeat_ngram = 1}}},
      {1, {.max_tokens = 5, .likeliest = 2}},
      {0, {.max_tokens = 6}}};
  std::vector<Answer> answers(asked.size());
  ABatch batch(m_.model, 3);
  Index most = 0;
  for (std::size_t next = 0; next < asked.size() || batch.size() > 0; batch.step()) {
    while (next < asked.size() && batch.size() < 3) {
      const auto& [words, options] = asked[next];
      batch.begin(request(prompt(words), options, answers[next]));
      ++next;
    }
    most = std::max(most, batch.size());
  }
  EXPECT_EQ(most, 3);
  for (std::size_t i = 0; i < asked.size(); ++i) {
    SCOPED_TRACE(i);
    expect_equal(answers[i], alone(prompt(asked[i].first), asked[i].second));
  }
}

// One prefix, and each draws what it draws alone.
TEST_P(BatchOf, AnswersToOnePromptShareItsPrefix) {
  std::vector<Answer> answers(3);
  std::vector<ABatch::Request> requests;
  std::vector<GenerateOptions> asked;
  for (std::uint64_t seed = 0; seed < 3; ++seed) {
    asked.push_back({.max_tokens = 6, .sampler = {.temperature = 2, .seed = seed}});
    requests.push_back(request(prompt(0), asked.back(), answers[seed]));
  }
  int prefixes = 0;
  auto count = [&](std::string_view name, auto&&) { prefixes += name == "llm/embedded"; };
  ABatch batch(m_.model, 3);
  batch.begin(requests, Tap(count));
  EXPECT_EQ(prefixes, 1);
  while (batch.size() > 0) batch.step();
  for (std::size_t i = 0; i < 3; ++i) {
    SCOPED_TRACE(i);
    expect_equal(answers[i], alone(prompt(0), asked[i]));
  }
  EXPECT_NE(answers[0].tokens[1].id, answers[1].tokens[1].id);
}

TEST_P(BatchOf, OneEndsWithAnEndTokenAndTheOthersGoOn) {
  const Answer whole = alone(prompt(0), {.max_tokens = 6});
  const TokenId third = whole.tokens[2].id;
  const auto first = std::find_if(whole.tokens.begin(), whole.tokens.end(),
                                  [&](const auto& token) { return token.id == third; });
  Answer cut, other;
  ABatch batch(m_.model, 2);
  batch.begin(request(prompt(0), {.max_tokens = 6, .end_tokens = {third}}, cut));
  batch.begin(request(prompt(0), {.max_tokens = 6}, other));
  while (batch.size() > 0) batch.step();
  ASSERT_EQ(cut.tokens.size(), static_cast<std::size_t>(first - whole.tokens.begin()) + 1);
  EXPECT_EQ(cut.tokens.back().id, third);
  expect_equal(other, whole);
}

TEST_P(BatchOf, WhoeverHearsATokenMayEndTheAnswer) {
  Answer answer;
  auto one = request(prompt(0), {.max_tokens = 6}, answer);
  one.on_token = [&](const GeneratedToken& token) {
    answer.tokens.push_back(token);
    return answer.tokens.size() < 2;
  };
  ABatch batch(m_.model, 2);
  batch.begin(one);
  EXPECT_EQ(batch.size(), 1);
  batch.step();
  EXPECT_EQ(batch.size(), 0);
  EXPECT_TRUE(answer.has_ended);
  EXPECT_EQ(answer.tokens.size(), 2u);
  batch.step();  // of nothing
}

TEST_P(BatchOf, HoldsNoMoreThanItsSize) {
  Answer a, b;
  ABatch batch(m_.model, 1);
  batch.begin(request(prompt(0), {.max_tokens = 2}, a));
  EXPECT_THROW(batch.begin(request(prompt(0), {.max_tokens = 2}, b)), ContractError);
  EXPECT_THROW(batch.begin(std::vector<ABatch::Request>()), ContractError);
  EXPECT_THROW(ABatch(m_.model, 0), ContractError);
}

}  // namespace
}  // namespace paligemma
