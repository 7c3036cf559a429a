// The adapters of tests/golden/paligemma*/adapters, and what transformers says with them.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "paligemma/pipeline.h"
#include "processing/image_file.h"
#include "tests/support/source_dir.h"

namespace paligemma::test {

struct AdapterGolden {
  std::filesystem::path model, folder;
  std::string prompt;
  std::vector<TokenId> without;
  std::map<std::string, std::vector<TokenId>> answers;  // by the adapter's folder

  explicit AdapterGolden(int version)
      : model(source_dir() + "/tests/golden/paligemma" + std::to_string(version)),
        folder(model / "adapters") {
    const auto json = nlohmann::json::parse(std::ifstream(folder / "adapters.json"));
    prompt = json["prompt"];
    without = json["without"].get<std::vector<TokenId>>();
    answers = json["answers"].get<std::map<std::string, std::vector<TokenId>>>();
  }

  // As many tokens as were recorded.
  template <class On>
  std::vector<TokenId> said(const Pipeline<On>& pipeline) const {
    const auto picture = pipeline.encode(read_image(model / "picture.png").view());
    std::vector<TokenId> ids;
    ReplyOptions how{.max_tokens = static_cast<Index>(without.size())};
    for (const auto& token : pipeline.generate(picture, prompt, how).tokens)
      ids.push_back(token.id);
    return ids;
  }
};

// On this executor, with weights as they are read.
template <class On>
void expect_adapters_speak(const std::function<On()>& on) {
  for (const int version : {1, 2}) {
    const AdapterGolden golden(version);
    for (const auto& [name, ids] : golden.answers) {
      const Pipeline<On> pipeline(
          on(),
          {.model = golden.model, .adapter = golden.folder / name, .dtype = WeightFormat::f32});
      EXPECT_EQ(golden.said(pipeline), ids) << version << " " << name;
    }
  }
}

}  // namespace paligemma::test
