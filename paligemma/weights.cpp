#include "paligemma/weights.h"

#include <functional>
#include <numeric>

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
  for (const auto& [name, shape] : expected_tensors(config)) {
    count += std::accumulate(shape.begin(), shape.end(), Index{1}, std::multiplies<>());
  }
  return count;
}

}  // namespace paligemma
