// Parameters: the numbers that are learned, each a tensor with the checkpoint's name, and its gradient.
//
//   value      float32, whatever the file has
//   gradient   float32, sums over a batch; zero() begins one
//
// weights() and gradients() show both as a model's weights, in the structures that composites read: what is learned
// here, what is not in the checkpoint's own memory, or as views of nothing. A table that is also the head is one
// parameter, which gets both gradients.
//
// Read next: train/clip_by_norm.h.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "paligemma/checkpoint.h"
#include "paligemma/config.h"
#include "paligemma/weights.h"
#include "tensor/buffer.h"
#include "tensor/weights.h"

namespace paligemma {

struct Parameter {
  std::string name;
  std::vector<Index> shape;  // as in the file
  Buffer<float, 2> value;    // [shape[0], everything else], of a vector [1, shape[0]]
  Buffer<float, 2> gradient;

  bool is_matrix() const { return shape.size() == 2; }
};

class Parameters {
 public:
  // Copies of the tensors whose names are learned. The checkpoint lives as long as this does.
  Parameters(Checkpoint& checkpoint, const Config& config,
             const std::function<bool(const std::string& name)>& is_learned);

  ModelWeights<HostWeights<float>> weights();  // once: frozen weights that are no floats are copied
  ModelWeights<HostGradients> gradients();

  void zero();
  std::vector<Parameter>& all() { return all_; }  // in the order of paligemma/weights.h

 private:
  Checkpoint* checkpoint_;
  const Config config_;
  std::vector<Parameter> all_;
  std::map<std::string, std::size_t> places_;
};

}  // namespace paligemma
