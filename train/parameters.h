// Parameters: the numbers that are learned, each a tensor with the checkpoint's name, and its gradient.
//
//   value      float32, whatever the file has
//   gradient   float32, sums over a batch; zero() begins one
//
// weights() and gradients() show both as a model's weights, in the structures that composites read: what is learned
// here, what is not in the checkpoint's own memory, or as views of nothing. A table that is also the head is one
// parameter, which gets both gradients. Where the model is read in another type than float32, a parameter is rounded to
// it once a step, and what is frozen stays mapped.
//
// With LoRA (train/lora.h) the model's own weights are frozen, and the parameters are the thin matrices beside them.
//
// Read next: train/lora.h.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "paligemma/checkpoint.h"
#include "paligemma/config.h"
#include "paligemma/weights.h"
#include "tensor/buffer.h"
#include "tensor/weights.h"
#include "train/lora.h"

namespace paligemma {

struct Parameter {
  std::string name;
  std::vector<Index> shape;  // as in the file
  Buffer<float, 2> value;    // [shape[0], everything else], of a vector [1, shape[0]]
  Buffer<float, 2> gradient;
  Buffer<std::byte, 1> rounded{{0}};  // value in the type that the model reads, if that is another

  bool is_matrix() const { return shape.size() == 2; }
};

// As many numbers as the parameters' gradients, in their order.
using GradientSums = std::vector<Buffer<float, 2>>;

class Parameters {
 public:
  using Choice = std::function<bool(const std::string& name)>;  // of tensors, or of layers

  // Copies of the tensors whose names are learned. The checkpoint lives as long as this does.
  Parameters(Checkpoint& checkpoint, const Config& config, const Choice& is_learned);
  // Adapters of layers. Throws std::invalid_argument if there is no such layer.
  Parameters(Checkpoint& checkpoint, const Config& config, const LoraRule& rule);

  // As the model reads them, always of one type: numbers of it, or the language model's matrices as blocks. Frozen
  // weights of another type are copied; learned blocks are a ContractError.
  template <class Real = float>
  ModelWeights<WeightsOn<Reference, Real>> weights();
  ModelWeights<HostGradients> gradients();

  // Zeros beside the gradients, those seen as a model's weights, and back to the gradients, which leaves zeros again.
  GradientSums sums() const;
  ModelWeights<HostGradients> gradients(GradientSums& sums);
  void add(GradientSums& sums);
  // Of a layer whose gradients are parameters' of all().
  Linear<HostGradients> in_sums(const Linear<HostGradients>& layer, GradientSums& sums) const;

  // Zeros that are learned beside the model's own tensors; it keeps its place while nothing is added.
  Parameter& add(const std::string& name, const std::vector<Index>& shape);
  Parameter* find(const std::string& name);  // or nothing

  void zero();     // before a step
  void collect();  // behind its ways back: the gradients of B, of what the model reads in its place
  void refresh();  // behind the step: what the model reads of the new values

  std::vector<Parameter>& all() { return all_; }  // in the order of paligemma/weights.h
  const std::vector<Parameter>& all() const { return all_; }
  std::vector<std::string> adapted_layers() const;

 private:
  template <class Real>
  struct Values;
  template <class Block>
  struct BlockValues;
  struct Sums;

  Checkpoint* checkpoint_;
  const Config config_;
  std::vector<Parameter> all_;
  std::map<std::string, std::size_t> places_;
  std::map<std::string, LearnedLora> adapters_;  // by layer
  WeightFormat format_ = WeightFormat::f32;      // of what is rounded
};

}  // namespace paligemma
