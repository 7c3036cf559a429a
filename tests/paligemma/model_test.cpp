#include "paligemma/model.h"

#include <gtest/gtest.h>

#include <cmath>

#include "paligemma/pipeline.h"
#include "tests/support/compare.h"
#include "tests/support/error_text.h"
#include "tests/support/golden.h"

namespace paligemma {
namespace {

using namespace test;

// Properties of the two golden models. That their numbers are right is tests/golden/golden_test.cpp.
class ModelOf : public ::testing::TestWithParam<int> {
 protected:
  const GoldenModel m_{GetParam()};
  const Index prefix_ = m_.prefix();

  // The prompt and the first tokens of the answer.
  std::vector<TokenId> sequence(std::size_t answer_tokens) const {
    std::vector<TokenId> ids = m_.golden.prompt_ids;
    ids.insert(ids.end(), m_.golden.generated_ids.begin(),
               m_.golden.generated_ids.begin() + static_cast<std::ptrdiff_t>(answer_tokens));
    return ids;
  }
};
INSTANTIATE_TEST_SUITE_P(PaliGemma, ModelOf, ::testing::Values(1, 2));

// docs/paligemma/model.md, "Misreadings".
TEST_P(ModelOf, ImageRowsEnterTheDecoderUnscaled) {
  const RecordedTaps taps = m_.run(m_.golden.prompt_ids, prefix_);
  const RecordedTap &embedded = taps.at("llm/embedded"), &head = m_.vision.taps.at("img/head");
  ASSERT_EQ(head.rows(), m_.image_tokens());
  for (Index t = 0; t < head.rows(); ++t) EXPECT_EQ(embedded.row(t), head.row(t)) << t;
}

TEST_P(ModelOf, WordsEnterTheDecoderTimesTheRootOfTheWidth) {
  const RecordedTaps taps = m_.run(m_.golden.prompt_ids, prefix_);
  const auto& table = m_.model.weights.text.embedding;
  const double root = std::sqrt(static_cast<double>(table.size(1)));
  for (Index t = m_.image_tokens(); t < prefix_; ++t) {
    const auto row = taps.at("llm/embedded").row(t);
    std::vector<float> expected(row.size());
    for (std::size_t d = 0; d < row.size(); ++d) {
      expected[d] = static_cast<float>(root * table(m_.golden.prompt_ids[t], d));
    }
    const std::array<Index, 1> shape{static_cast<Index>(row.size())};
    EXPECT_TRUE(close(View<const float, 1>(row.data(), shape),
                      View<const float, 1>(expected.data(), shape), float_operations(3)))
        << t;  // the root, the product, and the oracle's own rounding
  }
}

// A family without the factor says so by its shape.
TEST_P(ModelOf, WordsEnterTheDecoderAsTheyAreWhereTheScaleIsOne) {
  GoldenModel plain(GetParam());
  plain.model.text.embedding_scale = 1;
  const RecordedTaps taps = plain.run(plain.golden.prompt_ids, prefix_);
  const auto& table = plain.model.weights.text.embedding;
  for (Index t = plain.image_tokens(); t < prefix_; ++t) {
    const auto row = taps.at("llm/embedded").row(t);
    for (std::size_t d = 0; d < row.size(); ++d) {
      EXPECT_EQ(row[d], table(plain.golden.prompt_ids[t], d));
    }
  }
}

TEST_P(ModelOf, TheLastWordOfThePromptChangesEveryRowOfThePrefix) {
  std::vector<TokenId> changed = m_.golden.prompt_ids;
  changed[prefix_ - 2] += 1;  // the one before "\n"
  const auto before = m_.run(m_.golden.prompt_ids, prefix_).at("llm/final_norm");
  const auto after = m_.run(changed, prefix_).at("llm/final_norm");
  for (Index t = 0; t < prefix_; ++t) EXPECT_NE(before.row(t), after.row(t)) << t;
}

TEST_P(ModelOf, ThePictureChangesEveryRowOfThePrefix) {
  GoldenModel other(GetParam());
  other.image_rows.view()(other.image_tokens() - 1, 0) += 1;
  const auto before = m_.run(m_.golden.prompt_ids, prefix_).at("llm/final_norm");
  const auto after = other.run(m_.golden.prompt_ids, prefix_).at("llm/final_norm");
  for (Index t = 0; t < prefix_; ++t) EXPECT_NE(before.row(t), after.row(t)) << t;
}

// Bit by bit, at every tap: what comes later is not even looked at.
TEST_P(ModelOf, NothingLeaksFromTheAnswerToWhatStandsBeforeIt) {
  constexpr std::size_t kTokens = 6, kChanged = 3;
  const std::vector<TokenId> ids = sequence(kTokens);
  std::vector<TokenId> changed = ids;
  const Index at = prefix_ + kChanged;
  changed[at] += 1;
  const RecordedTaps before = m_.run(ids, prefix_), after = m_.run(changed, prefix_);
  for (const auto& [name, tap] : before) {
    if (name == "logits") continue;
    for (Index t = 0; t < at; ++t) EXPECT_EQ(tap.row(t), after.at(name).row(t)) << name << t;
  }
  const auto &old_last = before.at("llm/final_norm"), &new_last = after.at("llm/final_norm");
  for (Index t = at; t < old_last.rows(); ++t) EXPECT_NE(old_last.row(t), new_last.row(t)) << t;
}

TEST_P(ModelOf, AnAnswerBehindThePromptLeavesItsRowsAlone) {
  const RecordedTaps alone = m_.run(m_.golden.prompt_ids, prefix_),
                     followed = m_.run(sequence(5), prefix_);
  for (const auto& [name, tap] : alone) {
    if (name == "logits") continue;
    for (Index t = 0; t < prefix_; ++t) EXPECT_EQ(tap.row(t), followed.at(name).row(t)) << name;
  }
}

// Every row is computed by the same operations in the same order, so the bits are the same.
TEST_P(ModelOf, DecodingWithTheCacheEqualsDecodingWithoutIt) {
  constexpr std::size_t kTokens = 12;
  Session<Reference> session(m_.model.text, prefix_, prefix_ + Index{kTokens});
  forward(m_.model, m_.golden.prompt_ids, m_.image_rows.view(), prefix_, session, NoTap());
  for (std::size_t step = 0;; ++step) {
    const auto logits = session.scratch.logits.view();
    const std::vector<float> cached(logits.data(), logits.data() + logits.count());
    EXPECT_EQ(cached, m_.run(sequence(step), prefix_).at("logits").numbers) << "step " << step;
    if (step == kTokens) break;
    forward(m_.model, {&m_.golden.generated_ids[step], 1}, m_.image_rows.view().rows(0, 0), prefix_,
            session, NoTap());
  }
  EXPECT_EQ(session.cache.length(session.sequence), prefix_ + Index{kTokens});
}

TEST_P(ModelOf, ASequenceMayContinueInStretchesOfAnyLength) {
  const std::vector<TokenId> ids = sequence(9);
  Session<Reference> session(m_.model.text, prefix_, prefix_ + 9);
  forward(m_.model, std::span(ids).first(prefix_), m_.image_rows.view(), prefix_, session, NoTap());
  const auto none = m_.image_rows.view().rows(0, 0);
  forward(m_.model, std::span(ids).subspan(prefix_, 4), none, prefix_, session, NoTap());
  forward(m_.model, std::span(ids).subspan(prefix_ + 4), none, prefix_, session, NoTap());
  const auto logits = session.scratch.logits.view();
  EXPECT_EQ(std::vector<float>(logits.data(), logits.data() + logits.count()),
            m_.run(ids, prefix_).at("logits").numbers);
}

TEST_P(ModelOf, ThereMustBeAWordBehindThePicture) {
  const std::vector<TokenId> only_image(m_.golden.prompt_ids.begin(),
                                        m_.golden.prompt_ids.begin() + m_.image_tokens());
  Session<Reference> session(m_.model.text, prefix_, prefix_);
  EXPECT_THROW(forward(m_.model, only_image, m_.image_rows.view(), prefix_, session, NoTap()),
               ContractError);
}

// A picture of another model may have rows of the same width.
TEST_P(ModelOf, TheImageRowsMustBeAsManyAsTheImageTokens) {
  const Index L = m_.image_tokens();
  const auto refusal = [&](std::span<const TokenId> ids, View<const float, 2> rows) {
    Session<Reference> session(m_.model.text, prefix_, prefix_);
    return error_text<ContractError>(
        [&] { forward(m_.model, ids, rows, prefix_, session, NoTap()); });
  };
  const auto rows = m_.image_rows.view();
  const std::string tokens = std::to_string(L) + " image tokens";
  EXPECT_TRUE(holds(refusal(m_.golden.prompt_ids, rows.rows(0, L - 1)), tokens,
                    shape_text(rows.rows(0, L - 1))));
  EXPECT_TRUE(holds(refusal(std::span(m_.golden.prompt_ids).subspan(1), rows),
                    std::to_string(L - 1) + " image tokens", shape_text(rows)));
}

TEST_P(ModelOf, ASessionEndsWithItsCapacity) {
  Session<Reference> session(m_.model.text, prefix_, prefix_ + 1);
  forward(m_.model, m_.golden.prompt_ids, m_.image_rows.view(), prefix_, session, NoTap());
  const auto none = m_.image_rows.view().rows(0, 0);
  const TokenId id = m_.golden.generated_ids[0];
  EXPECT_NO_THROW(forward(m_.model, {&id, 1}, none, prefix_, session, NoTap()));
  EXPECT_THROW(forward(m_.model, {&id, 1}, none, prefix_, session, NoTap()), ContractError);
}

TEST_P(ModelOf, TheTapsOfThePictureAreThoseOfTheTable) {
  std::vector<std::string> expected{"img/encoded", "img/head", "img/pixels", "img/stem",
                                    "img/with_posemb"};
  for (Index i = 0; i < m_.model.vision.layers; ++i) {
    for (const char* tap : {"+mlp", "+sa", "mlp", "sa"}) {
      expected.push_back("img/encoder/block0" + std::to_string(i) + "/" + tap);
    }
  }
  EXPECT_EQ(m_.vision.taps.size(), expected.size());
  for (const std::string& name : expected) EXPECT_EQ(m_.vision.taps.count(name), 1u) << name;
}

// Switches of the pipeline: each changes what it should, and nothing else.

struct SwitchedRun {
  Recorder recorder;
  Reply answer;
};
SwitchedRun run_with(int version, bool soft_cap, bool sliding_window) {
  const Golden golden(version);
  const Pipeline<Reference> pipeline(
      reference, {.model = golden.folder, .soft_cap = soft_cap, .sliding_window = sliding_window});
  SwitchedRun run;
  const TapListener listener = std::ref(run.recorder);
  const auto picture = pipeline.encode(read_image(golden.folder / "picture.png").view(), listener);
  run.answer = pipeline.generate(picture, golden.prompt, {.max_tokens = 8}, listener);
  return run;
}

float largest_magnitude(const std::vector<float>& numbers) {
  float largest = 0;
  for (float x : numbers) largest = std::max(largest, std::abs(x));
  return largest;
}

void expect_same(const RecordedTap& a, const RecordedTap& b, const std::string& name) {
  EXPECT_EQ(a.shape, b.shape) << name;
  EXPECT_EQ(a.numbers, b.numbers) << name;
}

TEST(ModelSwitches, DoNothingToPaliGemma1) {
  const auto on = run_with(1, true, true), off = run_with(1, false, false);
  for (const auto& [name, tap] : on.recorder.taps) {
    expect_same(tap, off.recorder.taps.at(name), name);
  }
}

TEST(ModelSwitches, WithoutTheCapsScoresAndLogitsGoBeyondThem) {
  const auto on = run_with(2, true, true), off = run_with(2, false, true);
  for (const auto& [name, tap] : on.recorder.taps) {
    const bool before_attention = name.starts_with("img/") || name == "llm/embedded";
    if (before_attention) {
      expect_same(tap, off.recorder.taps.at(name), name);
    } else {
      EXPECT_NE(tap.numbers, off.recorder.taps.at(name).numbers) << name;
    }
  }
  EXPECT_LT(largest_magnitude(on.recorder.taps.at("logits").numbers), 30.0f);
  EXPECT_GT(largest_magnitude(off.recorder.taps.at("logits").numbers), 30.0f);
}

// The window is shorter than the prompt. Inside the prefix it does not apply; behind it, it does.
TEST(ModelSwitches, WithoutTheWindowTheAnswerSeesItAll) {
  const auto on = run_with(2, true, true), off = run_with(2, true, false);
  for (const auto& [name, tap] : on.recorder.taps) {
    if (name != "logits") expect_same(tap, off.recorder.taps.at(name), name);
  }
  const auto &windowed = on.recorder.taps.at("logits"), &all = off.recorder.taps.at("logits");
  EXPECT_EQ(windowed.row(0), all.row(0));
  EXPECT_NE(windowed.row(1), all.row(1));
}

}  // namespace
}  // namespace paligemma
