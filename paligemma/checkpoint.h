// Checkpoint: the weights of a model as files, in the layout of Hugging Face.
//
//   model.safetensors                one file, or
//   model.safetensors.index.json     {"weight_map": {tensor: file}} and the files that it names
//
// Opening maps the files and compares names and shapes with what the configuration asks for: a
// missing, extra or misshapen tensor is a ModelFileError that names it. No weight is read.
//
// Three generations of names are understood, since files of all three are around:
//
//   vision_tower.vision_model.encoder...    language_model.model.layers...           the hub
//   model.vision_tower.vision_model...      model.language_model.layers...           4.52 in memory
//   vision_tower.encoder...                 language_model.model.layers...           5.x
//
// In front of any of them may stand "base_model.model.", as peft writes, "paligemma.", "vlm." or another "model.", as
// ColPali's files have; its projection is embedding_proj_layer there, or custom_text_proj. In a SigLIP's own file they
// begin with vision_model.encoder..., or encoder... where it holds no text tower.
//
// Extra tensors that change nothing are ignored: a pooling head, unless the vision tower alone is wanted,
// position ids and RoPE frequencies; then, too, all that is the language model's or a SigLIP's text tower's.
// Where head and embedding are tied, one of them is enough.
//
// The folder may also be a preset of Keras (keras_preset.h), and an adapter of PEFT may stand beside it
// (adapter.h).
//
// Read next: paligemma/keras_preset.h.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "paligemma/config.h"
#include "paligemma/hdf5_file.h"
#include "paligemma/tensor_names.h"
#include "paligemma/weight_entry.h"
#include "paligemma/weights.h"
#include "tensor/buffer.h"
#include "tensor/numbers.h"
#include "tensor/safetensors.h"
#include "tensor/weight_format.h"
#include "tensor/weights.h"

namespace paligemma {

// Hears how many of the weights' bytes are where the executor wants them.
using LoadListener = std::function<void(std::size_t done, std::size_t all)>;

class Adapter;  // paligemma/adapter.h

class Checkpoint {
 public:
  // `path` is a checkpoint's folder, or one of its files: config.json, the index and one that this names
  // mean the folder, any other is the weights.
  Checkpoint(const std::filesystem::path& path, const Config& config);

  // The weights as views: into the mapped files where they are of this type already, and into
  // copies, made here and owned by the checkpoint, where they are not. The listener hears of those whose
  // numbers lie in another order in the file.
  template <class Real>
  ModelWeights<HostWeights<Real>> weights(const Config& config, const LoadListener& listener = {});

  // The same with the language model's matrices quantised: views into the mapped files if they hold blocks
  // of this type, blocks made here otherwise, which the listener hears about.
  template <Quantized Block>
  ModelWeights<QuantizedWeights<Block>> quantized_weights(const Config& config,
                                                          const LoadListener& listener);

  // Reads every page of the weights once, so that nobody waits for one later. All threads do. Tensors in another
  // order are left to weights(), which copies them and so reads them.
  void touch(const LoadListener& listener) const;

  // Puts an adapter beside the weights, and what it replaces in their place.
  void adapt(std::shared_ptr<const Adapter> adapter);
  // What it makes of a layer; null where there is none.
  const Lora<HostWeights<float>>* adapter(const std::string& layer) const;

  // Where the weights lie: the copies and blocks made so far, and the mapped tensors that have none.
  std::vector<std::span<const std::byte>> memory() const;

  // One of them, as weights() has it. forget_copies() ends the views into copies made so far.
  template <class Real>
  View<const Real, 2> matrix(const std::string& name, const std::vector<Index>& shape);
  template <class Real>
  View<const Real, 1> vector(const std::string& name, Index length);
  template <Quantized Block>
  View<const Block, 2> blocks(const std::string& name, const std::vector<Index>& shape);
  // What stands beside blocks, and like them holds no NaN and no infinity: an input that is rounded to 8
  // bits hides either, and the answer looks sound.
  View<const bf16, 2> matrix_beside_blocks(const std::string& name,
                                           const std::vector<Index>& shape);
  View<const bf16, 1> vector_beside_blocks(const std::string& name, Index length);
  void forget_copies() { converted_.clear(); }

  // The configuration, with a head of its own where one is stored although it should be the embedding, with a
  // pooling head if it is wanted and there, and with ColPali's rows as wide as they are.
  Config as_stored(Config config) const;

  WeightFormat format() const { return format_; }  // of most parameters
  Index tensor_count() const { return static_cast<Index>(tensors_.size()); }
  const std::map<std::string, WeightEntry>& tensors() const { return tensors_; }
  bool trained() const { return trained_; }  // false if the file says that it is random

 private:
  std::vector<SafetensorsFile> files_;
  std::vector<Hdf5File> keras_files_;           // in place of them
  std::map<std::string, WeightEntry> tensors_;  // by the newest name
  WeightFormat format_ = WeightFormat::f32;
  bool trained_ = true, has_pooling_head_ = false;
  Index retrieval_width_ = 0;
  std::multimap<std::string, Buffer<std::byte, 1>> converted_;  // by the tensor's name
  std::shared_ptr<const Adapter> adapter_;

  template <class Real>
  const Real* numbers(const std::string& name);
  template <class Stored, class Real>
  const Real* numbers_as(const std::string& name);
  std::byte* make_copy(const std::string& name, std::size_t bytes);  // not written yet
  std::size_t stored_bytes() const;
  void fetch(const WeightEntry& entry) const;
  std::map<std::string, WeightEntry> safetensors_entries(const Config& config,
                                                         const std::filesystem::path& path);
};

// The weights where the executor reads them, and the memory they lie in if the checkpoint does not own it.
template <class W>
struct PlacedWeights {
  ModelWeights<W> weights;
  std::shared_ptr<const void> memory;
};
template <class Real, OnHost On>
PlacedWeights<WeightsOn<On, Real>> place_weights(const On&, Checkpoint& checkpoint,
                                                 const Config& config,
                                                 const LoadListener& listener) {
  if constexpr (Quantized<Real>) {
    return {checkpoint.quantized_weights<Real>(config, listener), nullptr};
  } else {
    checkpoint.touch(listener);
    return {checkpoint.weights<Real>(config, listener), nullptr};
  }
}

}  // namespace paligemma
