#include "paligemma/weights.h"

#include <functional>
#include <numeric>

#include "tensor/quantized_linear.h"

namespace paligemma {
namespace {

// A source that has nothing, and writes down what it is asked for.
struct Recorder {
  std::vector<ExpectedTensor> asked;

  View<const float, 2> matrix(const std::string& name, std::vector<Index> shape) {
    asked.push_back({name, std::move(shape)});
    return {};
  }
  View<const float, 1> vector(const std::string& name, Index length) {
    asked.push_back({name, {length}});
    return {};
  }
};

Index product(const std::vector<Index>& shape) {
  return std::accumulate(shape.begin(), shape.end(), Index{1}, std::multiplies<>());
}

}  // namespace

std::vector<ExpectedTensor> expected_tensors(const Config& config) {
  Recorder recorder;
  load_weights<HostWeights<float>>(config, recorder);
  return std::move(recorder.asked);
}

bool is_text_matrix(const ExpectedTensor& tensor) {
  return tensor.shape.size() == 2 &&
         (tensor.name.starts_with("language_model.") || tensor.name == "lm_head.weight");
}

Index parameter_count(const Config& config) {
  Index count = 0;
  for (const auto& [name, shape] : expected_tensors(config)) count += product(shape);
  return count;
}

Index weight_bytes(const Config& config, WeightFormat format) {
  const Index number = format == WeightFormat::f32 ? 4 : 2;
  const Index block = format == WeightFormat::int8_blocks ? sizeof(Int8Block) : sizeof(Int4Block);
  Index bytes = 0;
  for (const ExpectedTensor& tensor : expected_tensors(config)) {
    const bool blocks = is_quantized(format) && is_text_matrix(tensor);
    bytes += blocks ? tensor.shape[0] * blocks_of(tensor.shape[1]) * block
                    : product(tensor.shape) * number;
  }
  return bytes;
}

}  // namespace paligemma
