// The default model says, token for token, what transformers' PaliGemma says with it
// (tools/tiny/make_tokens.py), about pictures drawn here.
#include "tests/support/tiny_model.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/run_program.h"

namespace paligemma {
namespace {

using namespace test;

const std::filesystem::path kRoot = source_dir();

class TinyModel : public ::testing::TestWithParam<int> {};

TEST_P(TinyModel, SaysWhatTransformersSays) {
  static const Pipeline<Reference> pipeline(reference, {.model = kTinyModel});
  says_what_transformers_says(pipeline, GetParam());
}

INSTANTIATE_TEST_SUITE_P(Scene, TinyModel, ::testing::Range(0, 64));

// Photographs that training did not see: there is nothing of its world in them.
TEST(TinyModelOutsideItsWorld, SaysSo) {
  const Pipeline<Reference> pipeline(reference, {.model = kRoot / "models/tiny"});
  for (const std::string name : {"chelsea", "coffee", "rocket", "rocket_upright"}) {
    const auto picture =
        pipeline.encode(read_image(kRoot / "tests/data/photos" / (name + ".png")).view());
    const auto ask = [&](const std::string& prompt) {
      return pipeline.generate(picture, prompt, {}).text;
    };
    EXPECT_EQ(ask("caption en"), "no shapes") << name;
    EXPECT_EQ(ask("answer en is there a red star?"), "no") << name;
    EXPECT_EQ(ask("answer en how many shapes are there?"), "0") << name;
    EXPECT_EQ(ask("detect red circle"), "") << name;
    EXPECT_EQ(ask("ocr"), "") << name;
  }
}

// The scores of docs/tiny.md, within what a hundred scenes can differ from two thousand.
TEST(TinyModelScores, HoldOverAHundredScenes) {
  const test::Ran ran = test::run_program({"eval", "--scenes", "100", "--json"});
  ASSERT_EQ(ran.exit_code, 0) << ran;
  const auto scores = nlohmann::json::parse(ran.out);
  EXPECT_GE(scores["caption"]["exact"], 0.85) << ran.out;
  EXPECT_GE(scores["answer"]["exact"], 0.9) << ran.out;
  EXPECT_GE(scores["detect"]["miou"], 0.78) << ran.out;
  EXPECT_GE(scores["detect"]["recall50"], 0.95) << ran.out;
  EXPECT_GE(scores["segment"]["miou"], 0.72) << ran.out;
  EXPECT_GE(scores["ocr"]["exact"], 0.65) << ran.out;  // a quarter of the scenes have a text
  EXPECT_EQ(scores["detect"]["invalid"], 0) << ran.out;
}

TEST(TinyModelFolder, IsAtMostFourAndAHalfMegabytes) {
  std::uintmax_t bytes = 0;
  for (const auto& file : std::filesystem::directory_iterator(kRoot / "models/tiny")) {
    bytes += file.file_size();
  }
  EXPECT_LE(bytes, 4'500'000u);
}

}  // namespace
}  // namespace paligemma
