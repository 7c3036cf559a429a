// What transformers' PaliGemma says with the default model (tools/tiny/make_tokens.py) about pictures
// drawn here, and what an executor says.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "paligemma/pipeline.h"
#include "tests/support/source_dir.h"
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

inline std::vector<TokenId> ids_of(const Answer& answer) {
  std::vector<TokenId> ids;
  for (const GeneratedToken& token : answer.tokens) ids.push_back(token.id);
  return ids;
}

template <class On>
void says_what_transformers_says(const Pipeline<On>& pipeline, int scene) {
  const auto picture = pipeline.encode(scene_picture(scene).view());
  for (const Exchange& exchange : exchanges().at(scene)) {
    const Answer answer = pipeline.generate(picture, exchange.prompt, {});
    EXPECT_EQ(ids_of(answer), exchange.ids) << exchange.prompt << " -> " << answer.text;
  }
}

}  // namespace paligemma::test
