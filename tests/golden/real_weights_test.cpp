// Published checkpoints against what others have written down about them. Runs where
//
//   PALIGEMMA_WEIGHTS   is a checkpoint's folder whose path holds its published name
//   PALIGEMMA_PICTURES  is a folder with the pictures (only for tests that look at one)
//
// and says why it skips otherwise. docs/real_weights.md says where to get both.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "paligemma/pipeline.h"
#include "processing/detections.h"
#include "tests/support/golden.h"

namespace paligemma {
namespace {

using namespace test;
namespace fs = std::filesystem;

fs::path environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

class RealWeights : public ::testing::Test {
 protected:
  void SetUp() override {
    if (weights_.empty()) GTEST_SKIP() << "PALIGEMMA_WEIGHTS names no checkpoint";
  }

  bool is(const std::string& name) const {
    return fs::absolute(weights_).lexically_normal().string().find(name) != std::string::npos;
  }

  const fs::path weights_ = environment("PALIGEMMA_WEIGHTS");
};

// The ids that Hugging Face's own tests pin.
TEST_F(RealWeights, TheTokenizerIsPaliGemmas) {
  const Config config = read_config(checkpoint_folder(weights_));
  const Tokenizer tokenizer(checkpoint_folder(weights_) / "tokenizer.model", config.image_token,
                            static_cast<TokenId>(config.text.vocabulary));
  const auto L = static_cast<int>(config.vision.patches());
  std::vector<TokenId> empty_prompt(static_cast<std::size_t>(L), 257152);
  empty_prompt.insert(empty_prompt.end(), {2, 108});
  EXPECT_EQ(make_prompt(tokenizer, "", L).ids, empty_prompt);

  const std::vector<std::pair<const char*, std::vector<TokenId>>> all{
      {"This is a test", {1596, 603, 476, 2121}},
      {"Hi  Hello", {2151, 139, 4521}},
      {"on the beach", {477, 573, 8318}},
      {"Where is the cow standing?", {6006, 603, 573, 13910, 9980, 235336}},
      {"<loc0000><loc1023><seg127>", {256000, 257023, 257151}}};
  for (const auto& [text, ids] : all) EXPECT_EQ(tokenizer.encode(text), ids) << text;
}

// Keras pins the states that its PaliGemma 3B mix 224 gives for a grey picture and five ids, no
// <bos> and no "\n" among them, all of it seen both ways: no tokenizer and no resizing is involved.
// keras_hub/src/models/pali_gemma/pali_gemma_backbone_test.py, with its tolerance.
TEST_F(RealWeights, AGreyPictureGivesTheStatesThatKerasGives) {
  if (!is("paligemma-3b-mix-224")) GTEST_SKIP() << "this is not paligemma-3b-mix-224";
  const Config config = read_config(checkpoint_folder(weights_));
  Checkpoint checkpoint(weights_, config);
  const std::vector<float> zeros(224 * 224 * 3);  // grey, once normalised
  const View<const float, 3> grey(zeros.data(), {224, 224, 3});
  const auto first_state = [&]<class Real>(Real) {
    const Model<Reference, HostWeights<Real>> model{reference, config.vision, config.text,
                                                    config.image_token,
                                                    checkpoint.weights<Real>(config)};
    siglip::EncoderScratch<Reference> scratch(model.vision);
    const auto image_rows = encode_image(model, grey, scratch, NoTap());
    std::vector<TokenId> ids(256, config.image_token);
    ids.insert(ids.end(), {1169, 2068, 7586, 21831, 13});
    Session<Reference> session(model.text, 261, 261);
    forward(model, ids, image_rows.view(), 261, session, NoTap());
    const float* row = session.scratch.normed.view().row(0).data();
    return std::vector<float>(row, row + 5);
  };
  const auto state = checkpoint.format() == WeightFormat::bf16  ? first_state(bf16{})
                     : checkpoint.format() == WeightFormat::f16 ? first_state(f16{})
                                                                : first_state(float{});
  const std::vector<double> expected{-0.449851, 1.431027, -0.713446, 0.417485, -0.640859};
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(state[i], expected[i], 0.01 + 0.01 * std::abs(expected[i])) << i;
  }
}

// Answers about pictures.

struct Expected {
  const char* checkpoint;
  const char* picture;
  const char* prompt;
  const char* answer;  // the beginning of it
  const char* source;
};

void PrintTo(const Expected& e, std::ostream* out) { *out << e.checkpoint << " " << e.prompt; }

class RealAnswers : public RealWeights, public ::testing::WithParamInterface<Expected> {
 protected:
  // Skips if the checkpoint is another or the picture is not there.
  void SetUp() override {
    RealWeights::SetUp();
    if (IsSkipped()) return;
    if (!is(GetParam().checkpoint)) GTEST_SKIP() << "this is not " << GetParam().checkpoint;
    if (!fs::exists(picture())) {
      GTEST_SKIP() << "PALIGEMMA_PICTURES has no " << GetParam().picture;
    }
  }
  static fs::path picture() { return environment("PALIGEMMA_PICTURES") / GetParam().picture; }

  static std::string answer(const fs::path& weights) {
    const Pipeline<Reference> pipeline(reference, {.model = weights});
    const auto rows = pipeline.encode(read_image(picture()).view());
    return pipeline.generate(rows, GetParam().prompt, {.max_tokens = 20}).text;
  }
};

constexpr const char* kHuggingFace =
    "transformers/tests/models/paligemma/test_modeling_paligemma.py";

using RealCaptions = RealAnswers;
TEST_P(RealCaptions, BeginAsWrittenDown) {
  EXPECT_TRUE(answer(weights_).starts_with(GetParam().answer)) << GetParam().source;
}
INSTANTIATE_TEST_SUITE_P(
    Published, RealCaptions,
    ::testing::Values(
        Expected{"paligemma-3b-pt-224", "cow_beach_1.png", "", "cow on the beach", kHuggingFace},
        Expected{"paligemma-3b-pt-224", "cow_beach_1.png", "answer en Where is the cow standing?",
                 "beach", kHuggingFace},
        Expected{"paligemma2-3b-mix-224", "pipeline-cat-chonk.jpeg", "Where is the cat standing?",
                 "snow", "transformers, docstring of PaliGemmaForConditionalGeneration"},
        Expected{"paligemma-3b-mix-224", "car.jpg", "caption es",
                 "Un auto azul estacionado frente a un edificio.", "the model card"}));

// Hugging Face's test accepts two answers, by two devices, that differ by two bins.
using RealDetections = RealAnswers;
TEST_P(RealDetections, AreWhereTheyWereWrittenDown) {
  const auto found = parse_detections(answer(weights_));
  const auto expected = parse_detections(GetParam().answer);
  ASSERT_EQ(expected.size(), 1u);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].label, expected[0].label);
  for (std::size_t side = 0; side < 4; ++side) {
    EXPECT_LE(std::abs(found[0].bins[side] - expected[0].bins[side]), 2) << side;
  }
}
INSTANTIATE_TEST_SUITE_P(Published, RealDetections,
                         ::testing::Values(Expected{
                             "paligemma-3b-pt-224", "shoe.png", "detect shoe",
                             "<loc0051><loc0309><loc0708><loc0646> shoe", kHuggingFace}));

}  // namespace
}  // namespace paligemma
