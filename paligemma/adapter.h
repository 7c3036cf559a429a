// Adapter: a change of a model's layers, as PEFT stores it.
//
//   adapter_config.json         paligemma/adapter_config.h
//   adapter_model.safetensors   under the name of each changed layer:
//
//     .lora_A.weight [r, I], .lora_B.weight [O, r]             LoRA: s B A is added to the layer's weights
//     .lora_magnitude_vector [O]                               DoRA: rows of the sum get this length
//     .lora_B.bias [O]                                         lora_bias: s times it is added to the bias
//     .lora_embedding_A [r, V], .lora_embedding_B [D, r]       of an embedding
//     .token_adapter.trainable_tokens_delta [n, D]             rows of the embedding, in place of its own
//     any tensor of the model                                  modules_to_save and biases: in its place
//
// Names are those of three generations, as a checkpoint's (paligemma/checkpoint.h). All linear layers, the
// word embedding and the head may be changed, and stay as they are beside their changes (tensor/lora.h): where
// head and embedding are one table, a change of one is none of the other, as in PEFT before it merges. The
// patch embedding and the position embedding are small, and changed when they are loaded.
//
// An adapter is not trusted: a tensor that fits no layer, has another shape or lacks its partner is a
// ModelFileError that names it.
//
// Source: PEFT 0.21.2; Hu et al. 2021, "LoRA"; Liu et al. 2024, "DoRA", eq. 5.
//
// Read next: paligemma/merge.h.
#pragma once

#include <deque>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "paligemma/adapter_config.h"
#include "paligemma/checkpoint.h"

namespace paligemma {

class Adapter {
 public:
  // `path` is the folder, or one of its two files. Throws NotFoundError or ModelFileError. Tensors may be
  // the base's own.
  Adapter(const std::filesystem::path& path, const Checkpoint& base, const Config& config);
  Adapter(const Adapter&) = delete;
  Adapter& operator=(const Adapter&) = delete;

  // By the layer's name, "language_model.model.layers.0.self_attn.q_proj".
  const std::map<std::string, Lora<HostWeights<float>>>& layers() const { return layers_; }
  // What takes a tensor's place.
  const std::map<std::string, WeightEntry>& tensors() const { return tensors_; }

 private:
  // Of one module, as the file has them; null where it has none.
  struct Parts {
    std::vector<std::string> names;  // the module's, for alpha_pattern
    const TensorEntry *a = nullptr, *b = nullptr, *magnitude = nullptr, *bias = nullptr;
    const TensorEntry* rows = nullptr;  // of the embedding
    bool is_embedding = false;          // a and b as an embedding has them
  };
  class Reader;

  std::string where_;
  SafetensorsFile file_;
  std::map<std::string, Lora<HostWeights<float>>> layers_;
  std::map<std::string, WeightEntry> tensors_;
  std::deque<std::vector<float>> floats_;              // of both
  std::deque<std::vector<std::byte>> embedding_rows_;  // of a table whose rows are replaced
};

}  // namespace paligemma
