// adapter_config.json: how PEFT scales an adapter, and what it does besides.
//
//   {"peft_type": "LORA", "r": 16, "lora_alpha": 32, "use_rslora": false, "use_dora": false,
//    "alpha_pattern": {"layers.0.self_attn.q_proj": 8}, "trainable_token_indices": [5, 9], ...}
//
// Which layers are changed, and by what rank, the tensors say: target_modules and rank_pattern are not looked
// at. Fields that are not known are let through, since every release of PEFT has new ones; those that are known
// to change the result in a way that is not supported are refused by name.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "tensor/view.h"

namespace paligemma {

struct AdapterConfig {
  std::string where;  // the file, for messages
  double alpha = 8;
  bool rslora = false;  // alpha / sqrt(r) in place of alpha / r
  bool dora = false;
  std::vector<std::pair<std::string, double>> alpha_pattern = {};  // in the file's order
  std::vector<Index> token_indices = {};  // rows of the embedding that are replaced

  // Of a module, as the file or as today's transformers names it, without "base_model.model.". The first key of
  // alpha_pattern that is a regular expression for the end of a name, from a dot on, has its alpha. Throws
  // ModelFileError for a key that is none.
  double scale(const std::vector<std::string>& names, Index rank) const;
};

// Throws ModelFileError.
AdapterConfig read_adapter_config(const std::filesystem::path& file);

}  // namespace paligemma
