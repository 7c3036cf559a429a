// What keras_hub says with its presets in tests/golden/keras, as README.md there tells.
#pragma once

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "processing/tokenizer.h"
#include "tensor/safetensors.h"
#include "tests/support/source_dir.h"

namespace paligemma::test {

inline std::filesystem::path keras_folder() { return source_dir() + "/tests/golden/keras"; }
inline const std::string kKerasTokenizer =
    keras_folder() / "float32/assets/tokenizer/vocabulary.spm";

struct KerasGolden {
  std::filesystem::path folder, picture;
  std::string prompt;
  SafetensorsFile file;

  explicit KerasGolden(const std::string& name)
      : folder(keras_folder() / name),
        picture(keras_folder() / (name + ".png")),
        file(keras_folder() / (name + ".safetensors")) {
    prompt = file.metadata().at("prompt");
  }

  template <class Number>
  std::vector<Number> numbers(const std::string& name) const {
    const TensorEntry& entry = file.tensors().at(name);
    std::vector<Number> found(static_cast<std::size_t>(entry.count()));
    std::memcpy(found.data(), entry.bytes.data(), entry.bytes.size());
    return found;
  }
  std::vector<TokenId> ids(const std::string& name) const {
    const auto found = numbers<std::int64_t>(name);
    return {found.begin(), found.end()};
  }
  float tolerance(const std::string& name) const {
    return numbers<float>(name + ":tolerance").front();
  }
};

}  // namespace paligemma::test
