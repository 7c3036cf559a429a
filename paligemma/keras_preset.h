// Keras preset: the folder that keras_hub's save_to_preset writes, read as a checkpoint.
//
//   config.json                        {"class_name": "PaliGemmaBackbone", "config": {...}}
//   model.weights.h5                   the weights, or
//   model.weights.json                 {"weight_map": {path: file or files}} and the files that it names
//   image_converter.json               how a picture becomes pixels (may be missing)
//   assets/tokenizer/vocabulary.spm    a SentencePiece model (may be missing)
//
// Names and layouts become ours, which are those of Hugging Face (paligemma/weights.h):
//
//   kernel            [in, out]        ours [out, in]
//   query, key, value [N, D, H]        ours [N * H, D]: head by head the other way round
//   patch convolution [P, P, 3, D]     ours [D, 3, P, P]
//   everything else                    as ours
//
// Source: keras_hub 0.32.0, pali_gemma_backbone.py and the files that it writes.
//
// Read next: paligemma/adapter.h.
#pragma once

#include <map>
#include <span>
#include <string>

#include "paligemma/config.h"
#include "paligemma/hdf5_file.h"
#include "paligemma/weight_entry.h"
#include "tensor/json.h"
#include "tensor/weights.h"

namespace paligemma {

// Of a config.json that has a class_name.
Config keras_config(const JsonFields& top);

// image_converter.json. A preset without one has the values of those that are published.
void read_image_converter(const JsonFields& top, Config& config);

// Where a preset has a tensor of the model, and how it lies there.
struct KerasTensor {
  std::string path;          // "layers/rms_normalization/vars/0"
  std::vector<Index> shape;  // there
  std::optional<StoredOrder> order;
};
KerasTensor keras_tensor(const ExpectedTensor& tensor, const Config& config);

// Those of all shards. One that is in two of them is a ModelFileError.
std::map<std::string, TensorEntry> datasets_of(std::span<const Hdf5File> files);

// Every tensor of the model, by our name. A dataset that is missing, extra, of another shape or quantised is a
// ModelFileError, which begins with `path`.
std::map<std::string, WeightEntry> keras_entries(std::map<std::string, TensorEntry> datasets,
                                                 const Config& config, const std::string& path);

}  // namespace paligemma
