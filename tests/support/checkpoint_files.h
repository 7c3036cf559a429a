// Checkpoints made for a test: copies of the golden one with a fault, and one that says what the
// test wants to hear.
#pragma once

#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "paligemma/checkpoint.h"
#include "processing/tokenizer.h"
#include "tests/support/run_program.h"
#include "tests/support/safetensors_writer.h"
#include "tests/support/source_dir.h"

namespace paligemma::test {

inline const std::string kGolden = source_dir() + "/tests/golden/paligemma1";
inline const std::string kGolden2 = source_dir() + "/tests/golden/paligemma2";
inline const std::string kPicture = kGolden + "/picture.png";

struct StoredTensor {
  std::string dtype;
  std::vector<std::int64_t> shape;
  std::string bytes;
};
using StoredTensors = std::map<std::string, StoredTensor>;

inline void write_tensors(const std::filesystem::path& path, const StoredTensors& tensors,
                          nlohmann::json header = nlohmann::json::object()) {
  std::string data;
  for (const auto& [name, tensor] : tensors) {
    header[name] = {{"dtype", tensor.dtype},
                    {"shape", tensor.shape},
                    {"data_offsets", {data.size(), data.size() + tensor.bytes.size()}}};
    data += tensor.bytes;
  }
  const std::string text = header.dump();
  write_safetensors(path, text.size(), text, data);
}

inline StoredTensors read_tensors(const std::filesystem::path& path) {
  const std::string file = read_bytes(path);
  std::uint64_t length = 0;
  std::memcpy(&length, file.data(), sizeof length);
  const std::string data = file.substr(sizeof length + length);
  const auto header = nlohmann::json::parse(file.substr(sizeof length, length));
  StoredTensors tensors;
  for (const auto& [name, fields] : header.items()) {
    if (name == "__metadata__") continue;
    const std::size_t begin = fields["data_offsets"][0], end = fields["data_offsets"][1];
    tensors[name] = {fields["dtype"], fields["shape"], data.substr(begin, end - begin)};
  }
  return tensors;
}

// A copy of the golden PaliGemma 1.
inline void copy_golden(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  for (const char* file : {"config.json", "generation_config.json", "preprocessor_config.json",
                           "tokenizer.model", "model.safetensors"}) {
    std::filesystem::copy_file(kGolden + "/" + file, folder / file);
  }
}

// A whole PaliGemma in `folder` that answers everything with `script`, and then <eos>.
//
// Its blocks add nothing to the residual stream, so what comes next depends on the last token alone.
// Token k of the chain "\n", script..., <eos> is embedded as the k-th unit vector, and the row of
// the head that belongs to token k + 1 looks for that vector. So no token may come twice.
inline void write_scripted_model(const std::filesystem::path& folder, const std::string& script) {
  constexpr Index kWidth = 48;
  std::filesystem::create_directories(folder);
  std::filesystem::copy_file(kGolden + "/tokenizer.model", folder / "tokenizer.model");
  auto json = nlohmann::json::parse(read_bytes(kGolden + "/config.json"));
  json["tie_word_embeddings"] = false;
  json["vision_config"].update({{"num_hidden_layers", 1}, {"image_size", 12}});
  json["text_config"].update({{"num_hidden_layers", 1}, {"hidden_size", kWidth}});
  write_text(folder / "config.json", json.dump());

  const Config config = parse_config(json.dump(), "config.json");
  const Tokenizer tokenizer(folder / "tokenizer.model", config.image_token,
                            static_cast<TokenId>(config.text.vocabulary));
  std::vector<TokenId> chain = tokenizer.encode(script);
  chain.insert(chain.begin(), tokenizer.newline());
  chain.push_back(tokenizer.eos());
  const bool twice = std::set<TokenId>(chain.begin(), chain.end()).size() != chain.size();
  if (twice || chain.size() > kWidth) throw std::runtime_error("script: " + script);

  StoredTensors tensors;
  for (const auto& [name, shape] : expected_tensors(config)) {
    Index count = 1;
    for (Index size : shape) count *= size;
    tensors[name] = {"F32", shape, std::string(static_cast<std::size_t>(count) * 4, '\0')};
  }
  const auto set_one = [&](const char* name, TokenId row, std::size_t column) {
    const float one = 1;
    const std::size_t at = static_cast<std::size_t>(row) * kWidth + column;
    std::memcpy(tensors.at(name).bytes.data() + 4 * at, &one, sizeof one);
  };
  for (std::size_t k = 0; k + 1 < chain.size(); ++k) {
    set_one("language_model.model.embed_tokens.weight", chain[k], k);
    set_one("lm_head.weight", chain[k + 1], k);
  }
  write_tensors(folder / "model.safetensors", tensors);
}

}  // namespace paligemma::test
