// What transformers' PaliGemma says with the default model (tools/tiny/make_tokens.py) about pictures
// drawn here, and what an executor says.
#pragma once

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "paligemma/pipeline.h"
#include "tests/support/golden.h"
#include "tests/support/logits.h"
#include "tests/support/source_dir.h"
#include "tests/support/step_by_step.h"
#include "world/render.h"

namespace paligemma::test {

inline const std::filesystem::path kTinyModel = source_dir() + "/models/tiny";

struct Exchange {
  std::string prompt;
  std::vector<TokenId> ids;
};

// By the number of the scene in the test split.
inline const std::map<int, std::vector<Exchange>>& exchanges() {
  static const auto all = [] {
    std::map<int, std::vector<Exchange>> found;
    std::ifstream file(source_dir() + "/tests/golden/tiny/tokens.json");
    for (const auto& answer : nlohmann::json::parse(file)) {
      found[answer["scene"]].push_back({answer["prompt"], answer["ids"]});
    }
    return found;
  }();
  return all;
}

inline RgbImage scene_picture(int scene) {
  return world::render(world::random_scene(world::Split::test, static_cast<std::uint64_t>(scene)));
}

inline std::vector<TokenId> ids_of(const Reply& answer) {
  std::vector<TokenId> ids;
  for (const GeneratedToken& token : answer.tokens) ids.push_back(token.id);
  return ids;
}

template <class On>
void says_what_transformers_says(const Pipeline<On>& pipeline, int scene) {
  const auto picture = pipeline.encode(scene_picture(scene).view());
  for (const Exchange& exchange : exchanges().at(scene)) {
    const Reply answer = pipeline.generate(picture, exchange.prompt, {});
    EXPECT_EQ(ids_of(answer), exchange.ids) << exchange.prompt << " -> " << answer.text;
  }
}

// For an executor that rounds more than `expected` does, and so moves logits by up to `logit_error`. Wherever
// `expected` is surer than twice that, the token is the same; behind a closer one answers may go different ways.
// Most are that sure.
template <class Expected, class On>
void only_close_tokens_differ(const Pipeline<Expected>& expected, const Pipeline<On>& pipeline,
                              int scene, double logit_error) {
  const auto image = scene_picture(scene);
  const auto there = expected.encode(image.view());
  const auto here = pipeline.encode(image.view());
  int compared = 0, sure = 0;
  for (const Exchange& exchange : exchanges().at(scene)) {
    Recorder want, got;
    const auto ids = ids_of(expected.generate(there, exchange.prompt, {}, std::ref(want)));
    const auto said = ids_of(pipeline.generate(here, exchange.prompt, {}, std::ref(got)));
    for (std::size_t i = 0; i < std::min(ids.size(), said.size()); ++i) {
      const auto row = want.taps.at("logits").row(static_cast<Index>(i));
      const auto logits = got.taps.at("logits").row(static_cast<Index>(i));
      EXPECT_LE(largest_difference(logits, row), logit_error) << exchange.prompt << ", token " << i;
      ++compared, sure += lead(row) > 2 * logit_error;
      if (said[i] == ids[i]) continue;
      EXPECT_LE(lead(row), 2 * logit_error) << exchange.prompt << ", token " << i;
      std::printf("[ close ] %s: token %zu differs, lead %.4f\n", exchange.prompt.c_str(), i,
                  lead(row));
      break;
    }
  }
  EXPECT_GT(2 * sure, compared);
}

// Pictures and prompts through both, each step of `expected` from what the pipeline's was given.
template <class Expected, class On>
void each_step_is_alike(const Pipeline<Expected>& expected, const Pipeline<On>& pipeline,
                        const std::vector<int>& scenes, double most) {
  StepByStep steps(most);
  for (int scene : scenes) {
    const auto run = [&](const auto& executor, const TapListener& listener) {
      const auto picture = executor.encode(scene_picture(scene).view(), listener);
      executor.generate(picture, "caption en", {.max_tokens = 1}, listener);
    };
    Recorder actual;
    run(pipeline, std::ref(actual));
    steps.compare_with(actual.taps);
    run(expected, std::ref(steps));
  }
  steps.expect_each_step_exact_once();
}

}  // namespace paligemma::test
