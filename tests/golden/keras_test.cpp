// Presets of Keras against keras_hub: README.md beside this file says where its numbers come from.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "paligemma/pipeline.h"
#include "tests/support/golden.h"
#include "tests/support/keras_golden.h"

namespace paligemma {
namespace {

using namespace test;

void expect_within(std::span<const float> actual, std::span<const float> expected,
                   float tolerance) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    ASSERT_LE(std::abs(actual[i] - expected[i]), tolerance) << "number " << i;
  }
}

class KerasGoldenOf : public ::testing::TestWithParam<const char*> {
 protected:
  // A case's rows, with its masks: what is not padded, up to the response seen both ways.
  void expect_states(const std::string& name) const {
    const Config config = read_config(golden_.folder);
    Checkpoint checkpoint(golden_.folder, config);
    const Model<Reference, HostWeights<float>> model{reference, config.vision, config.text,
                                                     config.image_token,
                                                     checkpoint.weights<float>(config)};
    siglip::EncoderScratch<Reference> scratch(config.vision);
    const auto image = encode_image(model, pixels(config).view(), scratch, NoTap());

    const Index L = config.vision.patches();
    std::vector<TokenId> ids(static_cast<std::size_t>(L), config.image_token);
    Index prefix = L;
    const auto tokens = golden_.ids(name + "/token_ids");
    const auto padding = golden_.ids(name + "/padding_mask");
    const auto response = golden_.ids(name + "/response_mask");
    for (std::size_t t = 0; t < tokens.size() && padding[t] == 1; ++t) {
      ids.push_back(tokens[t]);
      if (response[t] == 0) ++prefix;
    }
    Recorder recorder;
    const auto T = static_cast<Index>(ids.size());
    Session<Reference> session(model.text, T, T);
    forward(model, ids, image.view(), prefix, session, Tap(recorder));

    auto expected = golden_.numbers<float>(name + "/states");
    expected.resize(static_cast<std::size_t>(T * config.text.width));  // without padding
    expect_within(recorder.taps.at("llm/final_norm").numbers, expected,
                  golden_.tolerance(name + "/states"));
  }

  Buffer<float, 3> pixels(const Config& config) const {
    return vision_pixels(config, read_image(golden_.picture).view());
  }

  KerasGolden golden_{GetParam()};
};

TEST_P(KerasGoldenOf, ThePictureIsKerass) {
  const auto found = pixels(read_config(golden_.folder));
  const auto view = found.view();
  expect_within({view.data(), static_cast<std::size_t>(view.count())},
                golden_.numbers<float>("pixels"), golden_.tolerance("pixels"));
}

TEST_P(KerasGoldenOf, StatesOfAPromptAreKerass) { expect_states("asked"); }

TEST_P(KerasGoldenOf, StatesOfAPromptAndItsResponseAreKerass) { expect_states("learned"); }

TEST_P(KerasGoldenOf, EveryGreedyTokenIsTheSame) {
  const Pipeline<Reference> pipeline(reference,
                                     {.model = golden_.folder, .tokenizer = kKerasTokenizer});
  const auto picture = pipeline.encode(read_image(golden_.picture).view());
  const auto expected = golden_.ids("generated_ids");
  const Reply reply = pipeline.generate(picture, golden_.prompt,
                                        {.max_tokens = static_cast<Index>(expected.size())});

  const auto told = golden_.ids("asked/token_ids");
  const auto length =
      static_cast<std::ptrdiff_t>(reply.prompt.size()) - pipeline.config().vision.patches();
  EXPECT_EQ(std::vector(reply.prompt.end() - length, reply.prompt.end()),
            std::vector(told.begin(), told.begin() + length));
  std::vector<TokenId> found;
  for (const GeneratedToken& token : reply.tokens) found.push_back(token.id);
  EXPECT_EQ(found, expected);
}

INSTANTIATE_TEST_SUITE_P(Preset, KerasGoldenOf, ::testing::Values("float32", "bfloat16", "shards"),
                         [](const auto& preset) { return std::string(preset.param); });

}  // namespace
}  // namespace paligemma
