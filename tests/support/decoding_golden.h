// The cases of tests/golden/paligemma*/decoding.json: what transformers was given, and what it said.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "paligemma/pipeline.h"
#include "tests/support/golden.h"

namespace paligemma::test {

// The last one is of a batch, the others are of one prompt each.
inline nlohmann::json decoding_cases(const Golden& golden) {
  auto all = nlohmann::json::parse(std::ifstream(golden.folder / "decoding.json"));
  all.erase(all.size() - 1);
  return all;
}

inline nlohmann::json batch_case(const Golden& golden) {
  return nlohmann::json::parse(std::ifstream(golden.folder / "decoding.json")).back();
}

inline TokenRules rules_of(const nlohmann::json& given) {
  TokenRules rules;
  rules.repetition_penalty = given.value("repetition_penalty", 1.0f);
  rules.no_repeat_ngram = given.value("no_repeat_ngram_size", 0);
  rules.suppressed = given.value("suppress_tokens", std::set<TokenId>{});
  return rules;
}

inline BeamOptions beams_of(const nlohmann::json& given) {
  BeamOptions beams{.beams = given.value("num_beams", 1),
                    .length_penalty = given.value("length_penalty", 1.0f)};
  if (given.contains("early_stopping")) {
    beams.early_stopping =
        given["early_stopping"] == "never" ? EarlyStopping::never : EarlyStopping::yes;
  }
  return beams;
}

inline std::vector<TokenId> ids_of(const std::vector<GeneratedToken>& tokens) {
  std::vector<TokenId> ids;
  for (const GeneratedToken& token : tokens) ids.push_back(token.id);
  return ids;
}

// What a case is asked about: the golden picture, and with it the same turned to the left.
template <class On>
struct GoldenPictures {
  typename Pipeline<On>::Picture one, two;

  GoldenPictures(const Pipeline<On>& pipeline, const Golden& golden)
      : one(pipeline.encode(read_image(golden.folder / "picture.png").view())),
        two(with_turned(pipeline, golden)) {}

  const auto& of(const nlohmann::json& given) const {
    return given.value("pictures", 1) == 1 ? one : two;
  }

 private:
  auto with_turned(const Pipeline<On>& pipeline, const Golden& golden) const {
    const RgbImage image = read_image(golden.folder / "picture.png");
    const auto pixels = image.view();
    const Index height = pixels.size(0), width = pixels.size(1);
    Buffer<std::uint8_t, 3> turned({width, height, 3});
    for (Index y = 0; y < width; ++y) {
      for (Index x = 0; x < height; ++x) {
        for (Index c = 0; c < 3; ++c) turned.view()(y, x, c) = pixels(x, width - 1 - y, c);
      }
    }
    const auto other = pipeline.encode(turned.view());
    return pipeline.together(std::array{&one, &other});
  }
};

// A case whose end token is the checkpoint's own.
template <class On>
void says_what_was_recorded(const Pipeline<On>& pipeline, const GoldenPictures<On>& pictures,
                            const nlohmann::json& given) {
  ReplyOptions how;
  how.max_tokens = given["steps"];
  how.rules = rules_of(given);
  how.beams = beams_of(given);
  how.answers = given.value("num_return_sequences", 1);
  if (given.contains("stop")) how.stop = {given["stop"]};
  const Reply reply =
      pipeline.generate(pictures.of(given), given["prompt"].get<std::string>(), how);
  const nlohmann::json& answers = given["answers"];
  EXPECT_EQ(ids_of(reply.tokens), answers[0]["ids"]) << given;
  ASSERT_EQ(reply.others.size() + 1, answers.size()) << given;
  for (std::size_t i = 0; i < reply.others.size(); ++i) {
    EXPECT_EQ(ids_of(reply.others[i].tokens), answers[i + 1]["ids"]) << given;
  }
}

// A padded batch of greedy answers, by a pipeline that pads nothing.
template <class On>
void batch_says_what_was_recorded(const Pipeline<On>& pipeline, const Golden& golden) {
  using Picture = typename Pipeline<On>::Picture;
  using Request = typename Pipeline<On>::Request;
  const nlohmann::json given = batch_case(golden);
  const auto picture = std::make_shared<const Picture>(
      pipeline.encode(read_image(golden.folder / "picture.png").view()));
  const std::vector<std::string> prompts = given["prompts"];
  ReplyOptions how;
  how.max_tokens = given["steps"];
  std::size_t asked = 0, answered = 0;
  pipeline.generate_all(3, [&](bool) -> std::optional<Request> {
    if (asked == prompts.size()) return std::nullopt;
    const std::size_t i = asked++;
    return Request{picture, prompts[i], how,
                   [&, i](const Reply& reply) {
                     ++answered;
                     EXPECT_EQ(ids_of(reply.tokens), given["answers"][i]["ids"]) << i;
                   },
                   [](const PromptError& error) { ADD_FAILURE() << error.what(); }};
  });
  EXPECT_EQ(answered, 3u);
}

}  // namespace paligemma::test
