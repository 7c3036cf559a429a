// The golden models of zeta as folders: config.json and model.safetensors.
#pragma once

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "tensor/npz.h"
#include "tests/support/safetensors_writer.h"
#include "tests/support/source_dir.h"
#include "tests/support/temporary_folder.h"

namespace paligemma::test {

inline NpyArray read_zeta(const std::string& of_case, const std::string& array) {
  return NpzFile(source_dir() + "/tests/golden/zeta/" + of_case + ".npz").read(array);
}

// `changes` of the constructor's arguments, and further fields of the configuration.
inline void write_zeta_model(const std::filesystem::path& folder, const std::string& of_case,
                             const nlohmann::ordered_json& changes = {}) {
  const std::string golden = source_dir() + "/tests/golden/zeta/";
  const auto cases = nlohmann::ordered_json::parse(std::ifstream(golden + "cases.json"))["cases"];
  nlohmann::ordered_json config = cases[of_case]["models"].begin().value();
  if (changes.is_object()) config.update(changes);
  std::filesystem::create_directories(folder);
  write_text(folder / "config.json", config.dump());

  NpzFile file(golden + of_case + ".npz");
  SafetensorsWriter writer;
  for (const auto& [name, at] : file.arrays()) {
    if (!name.starts_with("w/")) continue;
    const NpyArray array = file.read(name);
    writer.add<float>(name.substr(2), array.shape, array.numbers);
  }
  writer.write(folder / "model.safetensors");
}

}  // namespace paligemma::test
