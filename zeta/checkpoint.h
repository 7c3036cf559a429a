// Checkpoint: the weights of a PalmE or a Transformer as a file, under the names of state_dict().
//
//   model.safetensors   f32, f16 or bf16, mixed if need be
//
// Opening maps the file and compares names and shapes with what the configuration asks for: a missing, extra or
// misshapen tensor is a ModelFileError that names it. What numbers() reads holds no NaN and no infinity.
//
// In front of all names may stand "net.", as where a Transformer was saved inside its AutoRegressiveWrapper.
// PyTorch saves what it has worked out for rotary positions as well, rotary_pos_emb.inv_freq and .scale: these
// are compared with what zeta/rotary.h works out, since a model that was trained with others is another model,
// and are not part of what is loaded.
//
// Source: zetascale 2.8.8 and x-transformers 1.19.0. Read next: colpali/model.h.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tensor/safetensors.h"
#include "tensor/weight_format.h"
#include "tensor/weights.h"
#include "zeta/config.h"

namespace paligemma::zeta {

class Checkpoint {
 public:
  // `path` is a model's folder or one of its files; one that ends in .json means the folder.
  Checkpoint(const std::filesystem::path& path, const Config& config);

  // All of a tensor, as zeta/weights.h asks for it.
  std::vector<float> numbers(const std::string& name) const;

  WeightFormat format() const { return format_; }  // of most parameters
  Index tensor_count() const { return static_cast<Index>(tensors_.size()); }
  const std::map<std::string, TensorEntry>& tensors() const { return tensors_; }
  bool trained() const { return trained_; }  // false if the file says that it is random

 private:
  SafetensorsFile file_;
  std::map<std::string, TensorEntry> tensors_;
  WeightFormat format_ = WeightFormat::f32;
  bool trained_;
};

// What a checkpoint of this configuration must hold.
std::vector<ExpectedTensor> expected_tensors(const Config& config);

// The sum of their sizes; a tied head counts once.
Index parameter_count(const Config& config);

}  // namespace paligemma::zeta
