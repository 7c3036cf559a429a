// Any two texts as an adapter's adapter_config.json and the header of its tensors, behind bytes that say how long
// the first is and how many bytes of data follow the second: refused, or every layer that is changed is one of the
// model's, with matrices of its shape, and the model can be had with it as every type.
#include <omp.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>

#include "paligemma/adapter.h"
#include "paligemma/random_weights.h"
#include "tensor/errors.h"
#include "tests/fuzz/require.h"

using namespace paligemma;
using fuzz::require;
namespace fs = std::filesystem;

namespace {

constexpr const char* kConfig = R"({"model_type": "paligemma", "image_token_index": 11,
  "text_config": {"vocab_size": 11, "hidden_size": 4, "intermediate_size": 7,
    "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 2},
  "vision_config": {"image_size": 4, "patch_size": 2, "hidden_size": 6, "intermediate_size": 5,
    "num_hidden_layers": 1, "num_attention_heads": 2}})";

// Removed when the process ends.
struct Folder {
  fs::path path;
  Folder() {
    std::string pattern = (fs::temp_directory_path() / "adapter_fuzz.XXXXXX").string();
    require(::mkdtemp(pattern.data()) != nullptr);
    path = pattern;
  }
  ~Folder() { fs::remove_all(path); }
};

void check(const Adapter& adapter, const Checkpoint& base) {
  for (const auto& [layer, lora] : adapter.layers()) {
    const bool is_head = layer == "lm_head";
    const auto& weight = base.tensors().at((is_head ? "language_model.model.embed_tokens" : layer) +
                                           std::string(".weight"));
    const bool of_words = layer.ends_with("embed_tokens");
    require(lora.a.size(of_words ? 0 : 1) == (of_words ? weight.rows() : weight.columns()));
    require(lora.b.size(1) == (of_words ? weight.columns() : weight.rows()));
  }
  for (const auto& [name, entry] : adapter.tensors()) {
    require(std::ssize(entry.bytes) ==
            static_cast<std::ptrdiff_t>(row_bytes(entry.format, entry.columns())) * entry.rows());
  }
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  omp_set_num_threads(1);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 4) return 0;
  static const Folder folder;
  static const Config config = parse_config(kConfig, "config.json");
  static const fs::path model = [] {
    write_random_checkpoint(kConfig, expected_tensors(config), folder.path / "model", {});
    return folder.path / "model";
  }();
  const std::size_t asked = data[0] | data[1] << 8, data_size = data[2] | data[3] << 8;
  const std::size_t text = std::min(asked, size - 4);
  const auto* const bytes = reinterpret_cast<const char*>(data) + 4;
  std::ofstream(folder.path / "adapter_config.json")
      .write(bytes, static_cast<std::streamsize>(text));
  const std::uint64_t length = size - 4 - text;
  std::ofstream file(folder.path / "adapter_model.safetensors", std::ios::binary);
  file.write(reinterpret_cast<const char*>(&length), sizeof length);
  file.write(bytes + text, static_cast<std::streamsize>(length));
  file << std::string(data_size, '\0');
  file.close();
  try {
    Checkpoint base(model, config);
    const auto adapter = std::make_shared<const Adapter>(folder.path, base, config);
    check(*adapter, base);
    base.adapt(adapter);
    base.weights<float>(config);
    base.weights<bf16>(config);
    base.quantized_weights<Int8Block>(config, {});
  } catch (const ModelFileError&) {
  }
  return 0;
}
