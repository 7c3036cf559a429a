#include "train/parameters.h"

#include <algorithm>

namespace paligemma {
namespace {

Index columns_of(const std::vector<Index>& shape) {
  Index columns = 1;
  for (std::size_t axis = 1; axis < shape.size(); ++axis) columns *= shape[axis];
  return columns;
}

// Sources for load_weights. find(name) is the parameter of that name, or null.
template <class Find>
struct Values {
  Find find;
  Checkpoint& checkpoint;

  View<const float, 2> matrix(const std::string& name, const std::vector<Index>& shape) {
    if (const Parameter* found = find(name)) return found->value.view();
    return checkpoint.matrix<float>(name, shape);
  }
  View<const float, 1> vector(const std::string& name, Index length) {
    if (const Parameter* found = find(name)) return found->value.view().row(0);
    return checkpoint.vector<float>(name, length);
  }
};

template <class Find>
struct Sums {
  Find find;

  View<float, 2> matrix(const std::string& name, const std::vector<Index>&) {
    Parameter* const found = find(name);
    return found != nullptr ? found->gradient.view() : View<float, 2>();
  }
  View<float, 1> vector(const std::string& name, Index) {
    Parameter* const found = find(name);
    return found != nullptr ? found->gradient.view().row(0) : View<float, 1>();
  }
};

}  // namespace

Parameters::Parameters(Checkpoint& checkpoint, const Config& config,
                       const std::function<bool(const std::string& name)>& is_learned)
    : checkpoint_(&checkpoint), config_(config) {
  for (const ExpectedTensor& tensor : expected_tensors(config)) {
    if (!is_learned(tensor.name)) continue;
    const bool is_vector = tensor.shape.size() == 1;
    const std::array<Index, 2> size{is_vector ? 1 : tensor.shape[0],
                                    is_vector ? tensor.shape[0] : columns_of(tensor.shape)};
    places_[tensor.name] = all_.size();
    Parameter& parameter = all_.emplace_back(
        Parameter{tensor.name, tensor.shape, Buffer<float, 2>(size), Buffer<float, 2>(size)});
    const std::vector<float> numbers = all_as_floats(checkpoint.tensors().at(tensor.name));
    std::copy(numbers.begin(), numbers.end(), parameter.value.view().data());
  }
}

ModelWeights<HostWeights<float>> Parameters::weights() {
  const auto find = [this](const std::string& name) -> const Parameter* {
    const auto place = places_.find(name);
    return place != places_.end() ? &all_[place->second] : nullptr;
  };
  Values<decltype(find)> source{find, *checkpoint_};
  return load_weights<HostWeights<float>>(config_, source);
}

ModelWeights<HostGradients> Parameters::gradients() {
  const auto find = [this](const std::string& name) -> Parameter* {
    const auto place = places_.find(name);
    return place != places_.end() ? &all_[place->second] : nullptr;
  };
  Sums<decltype(find)> source{find};
  return load_weights<HostGradients>(config_, source);
}

void Parameters::zero() {
  for (Parameter& parameter : all_) paligemma::zero(reference, parameter.gradient.view());
}

}  // namespace paligemma
