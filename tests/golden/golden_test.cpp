// The whole model against the activations of Hugging Face transformers: README.md beside this file
// says where they and their tolerances come from.
#include "tests/support/golden.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>

#include "paligemma/pipeline.h"

namespace paligemma {
namespace {

using namespace test;

// "llm/block02/attn" as "llm/block*/attn": one line for all layers.
std::string family_of(std::string name) {
  const auto block = name.find("/block");
  if (block != name.npos) name.replace(block + 6, 2, "*");
  return name;
}

// The largest difference, as a part of the tolerance. A NaN is beyond all of it.
double share_of_tolerance(const RecordedTap& actual, const Golden::Tap& expected) {
  double worst = 0;
  for (std::size_t i = 0; i < expected.numbers.size(); ++i) {
    const double error = std::abs(static_cast<double>(actual.numbers[i]) - expected.numbers[i]);
    if (!(error <= worst)) worst = std::isnan(error) ? INFINITY : error;
  }
  return worst / expected.tolerance;
}

// One picture, one prompt, 32 tokens: the run that was recorded.
struct RecordedRun {
  Golden golden;
  Pipeline<Reference> pipeline;
  Recorder recorder;
  Reply answer;

  explicit RecordedRun(int version)
      : golden(version), pipeline(reference, {.model = golden.folder}) {
    const TapListener listener = std::ref(recorder);
    const auto picture =
        pipeline.encode(read_image(golden.folder / "picture.png").view(), listener);
    answer = pipeline.generate(picture, golden.prompt, {.max_tokens = 32}, listener);
  }
};

class GoldenOf : public ::testing::TestWithParam<int> {};

TEST_P(GoldenOf, ThePromptIsTheSameTokens) {
  const RecordedRun run(GetParam());
  EXPECT_EQ(run.answer.prompt, run.golden.prompt_ids);
}

TEST_P(GoldenOf, EveryTapIsWithinItsTolerance) {
  const RecordedRun run(GetParam());
  std::map<std::string, std::pair<double, std::string>> shares;  // by family: the worst, and where
  for (const auto& [name, expected] : run.golden.taps) {
    const auto found = run.recorder.taps.find(name);
    ASSERT_NE(found, run.recorder.taps.end()) << name << " was never tapped";
    ASSERT_EQ(found->second.shape, expected.shape) << name;
    const double share = share_of_tolerance(found->second, expected);
    EXPECT_LE(share, 1) << name;
    auto& worst = shares[family_of(name)];
    worst = std::max(worst, {share, name});
  }
  for (const auto& [name, tap] : run.recorder.taps) {
    EXPECT_EQ(run.golden.taps.count(name), 1u) << name << " has no golden";
  }
  for (const auto& [family, worst] : shares) {
    std::printf("[ %3.0f %% of tolerance ] %s\n", 100 * worst.first, worst.second.c_str());
  }
}

TEST_P(GoldenOf, EveryGreedyTokenIsTheSame) {
  const RecordedRun run(GetParam());
  ASSERT_EQ(run.answer.tokens.size(), run.golden.generated_ids.size());
  for (std::size_t i = 0; i < run.answer.tokens.size(); ++i) {
    EXPECT_EQ(run.answer.tokens[i].id, run.golden.generated_ids[i]) << "token " << i;
  }
  EXPECT_FALSE(run.answer.ended);
}

// As the sentencepiece library of Python spells them.
TEST_P(GoldenOf, TheTextIsTheSame) {
  const char* expected =
      GetParam() == 1
          ? "<loc0949><loc0947><loc0141>\xef\xbf\xbd<loc0652><loc0082><seg114><loc0927> BL"
            "<loc0743><loc0743><loc0743><loc0981><seg020><loc0224><loc0249><loc0509><loc0249>qu"
            "<loc0080><loc0278><loc0109>\x1a<loc0686><loc0195><loc0524><loc0454><loc0120><loc0168>"
            "<loc0417><loc0223><loc0118>"
          : "8<seg030><seg078> nl<loc0718><loc0473> fr<loc0426><loc0599><loc0718><loc0948><seg053>"
            "<loc0667><loc0300>ondondond<loc0631><loc0129><loc0282>ondondond<loc0115><loc0115>"
            "<loc0575>)<loc0880>6<loc0115><loc0428>HITE";
  EXPECT_EQ(RecordedRun(GetParam()).answer.text, expected);
}

INSTANTIATE_TEST_SUITE_P(PaliGemma, GoldenOf, ::testing::Values(1, 2));

}  // namespace
}  // namespace paligemma
