// What torch makes of a golden checkpoint when it learns: tests/golden/README.md, "Training".
#pragma once

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "paligemma/checkpoint.h"
#include "processing/image_file.h"
#include "processing/normalize_pixels.h"
#include "processing/prompt.h"
#include "processing/tokenizer.h"
#include "tensor/safetensors.h"
#include "tests/support/golden.h"
#include "tests/support/source_dir.h"
#include "train/batch.h"

namespace paligemma::test {

struct TrainingGolden {
  std::filesystem::path folder, training;
  Config config;
  Checkpoint checkpoint;
  std::vector<double> losses, grad_norms;
  std::map<std::string, std::vector<float>> gradients;
  std::vector<Example> examples;

  explicit TrainingGolden(int version)
      : folder(source_dir() + "/tests/golden/paligemma" + std::to_string(version)),
        training(folder / "training"),
        config(read_config(folder)),
        checkpoint(folder, config) {
    const auto steps = nlohmann::json::parse(std::ifstream(training / "steps.json"));
    losses = steps.at("losses").get<std::vector<double>>();
    grad_norms = steps.at("grad_norms").get<std::vector<double>>();
    const SafetensorsFile file(training / "gradients.safetensors");
    for (const auto& [name, entry] : file.tensors()) gradients[name] = numbers_of<float>(entry);
    const Tokenizer tokenizer(folder, config.image_token,
                              static_cast<TokenId>(config.text.vocabulary));
    std::ifstream lines(training / "lines.jsonl");
    for (std::string line; std::getline(lines, line);) {
      examples.push_back(example(nlohmann::json::parse(line), tokenizer));
    }
  }

  // Of some of the examples; the mean over all that is learned in them.
  TrainingBatch batch(std::initializer_list<std::size_t> chosen) const {
    std::vector<const Example*> some;
    for (const std::size_t i : chosen) some.push_back(&examples[i]);
    return make_batch(some, 1 / static_cast<float>(learned_tokens(some)));
  }

 private:
  // Pictures have the model's size.
  Example example(const nlohmann::json& line, const Tokenizer& tokenizer) const {
    const RgbImage image = read_image(training / line.at("image").get<std::string>());
    Example example;
    example.pixels = Buffer<float, 4>({1, image.view().size(0), image.view().size(1), 3});
    normalize_pixels(image.view(), config.pixel_scale, example.pixels.view().row(0));
    example.ids = make_prompt(tokenizer, line.at("prefix").get<std::string>(),
                              static_cast<int>(config.vision.patches()))
                      .ids;
    example.prefix = static_cast<Index>(example.ids.size());
    for (const TokenId id : tokenizer.encode(line.at("suffix").get<std::string>())) {
      example.ids.push_back(id);
    }
    example.ids.push_back(tokenizer.eos());
    return example;
  }
};

}  // namespace paligemma::test
