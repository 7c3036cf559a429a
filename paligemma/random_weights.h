// Random weights: a checkpoint of any size that nobody has trained, to measure and to test with.
//
//   matrix [O, ...]   uniform, of variance 1 / (inputs of a row): what goes in keeps its size
//   norm   [D]        1 + u / 10, u uniform in [-1, 1); Gemma's are stored minus one
//   bias   [O]        u / 50
//
// So the model runs as a trained one would, and says something, if nothing sensible. Each number depends on the
// seed, its tensor's place in the list and its own place alone (tensor/philox.h), and is bf16.
//
// Read next: world/scene.h.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tensor/weights.h"

namespace paligemma {

struct RandomWeightsOptions {
  std::uint64_t seed = 0;
  bool sparse = false;  // headers alone: the weights are holes, zeros
  std::optional<std::filesystem::path> tokenizer = {};  // copied beside the weights
};

// A folder as the hub has it: config.json, model.safetensors. `config` is the text of the first, `tensors` what
// it asks for. Throws std::runtime_error as NewModel does (paligemma/new_model.h).
void write_random_checkpoint(const std::string& config, const std::vector<ExpectedTensor>& tensors,
                             const std::filesystem::path& out,
                             const RandomWeightsOptions& options = {});

}  // namespace paligemma
