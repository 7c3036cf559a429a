#include "train/parameters.h"

#include <algorithm>
#include <stdexcept>

#include "paligemma/weight_entry.h"

namespace paligemma {
namespace {

std::array<Index, 2> size_of(const std::vector<Index>& shape) {
  if (shape.size() == 1) return {1, shape[0]};
  Index columns = 1;
  for (std::size_t axis = 1; axis < shape.size(); ++axis) columns *= shape[axis];
  return {shape[0], columns};
}

// Linear layers are matrices by another name than tables have.
bool is_layer(const ExpectedTensor& tensor) {
  return tensor.shape.size() == 2 && tensor.name.ends_with(".weight") &&
         tensor.name.find("embed") == std::string::npos;
}

std::string layer_of(const std::string& tensor) { return tensor.substr(0, tensor.rfind('.')); }

template <class Real>
View<const Real, 2> rounded_view(const Parameter& parameter) {
  if constexpr (std::same_as<Real, float>) {
    return parameter.value.view();
  } else {
    const auto* numbers = reinterpret_cast<const Real*>(parameter.rounded.view().data());
    return {numbers, parameter.value.view().shape()};
  }
}

void round_to(WeightFormat format, Parameter& parameter) {
  const auto value = parameter.value.view();
  const std::size_t stride = row_bytes(format, value.size(1));
  const auto rows = static_cast<std::size_t>(value.size(0));
  if (parameter.rounded.view().count() == 0) {
    parameter.rounded = Buffer<std::byte, 1>({static_cast<Index>(rows * stride)}, unwritten);
  }
#pragma omp parallel for
  for (std::size_t row = 0; row < rows; ++row) {
    write_row({&value(static_cast<Index>(row), 0), static_cast<std::size_t>(value.size(1))}, format,
              parameter.rounded.view().data() + row * stride);
  }
}

}  // namespace

// Sources for load_weights: what is learned, or the checkpoint's.
template <class Real>
struct Parameters::Values {
  Parameters& parameters;

  View<const Real, 2> matrix(const std::string& name, const std::vector<Index>& shape) {
    if (const Parameter* found = parameters.find(name)) return rounded_view<Real>(*found);
    return parameters.checkpoint_->matrix<Real>(name, shape);
  }
  View<const Real, 1> vector(const std::string& name, Index length) {
    if (const Parameter* found = parameters.find(name)) return rounded_view<Real>(*found).row(0);
    return parameters.checkpoint_->vector<Real>(name, length);
  }
  const Lora<HostWeights<float>>* adapter(const std::string& layer) {
    const auto found = parameters.adapters_.find(layer);
    return found != parameters.adapters_.end() ? &found->second.weights : nullptr;
  }
};

template <class Block>
struct Parameters::BlockValues : Parameters::Values<bf16> {
  View<const Block, 2> matrix(const std::string& name, const std::vector<Index>& shape) {
    PG_CHECK(this->parameters.find(name) == nullptr, name + ": blocks are not learned");
    return this->parameters.checkpoint_->template blocks<Block>(name, shape);
  }
};

struct Parameters::Sums {
  Parameters& parameters;
  GradientSums* others = nullptr;  // in the gradients' place

  View<float, 2> matrix(const std::string& name, const std::vector<Index>&) {
    const auto place = parameters.places_.find(name);
    if (place == parameters.places_.end()) return {};
    return others != nullptr ? (*others)[place->second].view()
                             : parameters.all_[place->second].gradient.view();
  }
  View<float, 1> vector(const std::string& name, Index) {
    const View<float, 2> found = matrix(name, {});
    return found.data() != nullptr ? found.row(0) : View<float, 1>();
  }
  const Lora<HostGradients>* adapter(const std::string& layer) {
    const auto found = parameters.adapters_.find(layer);
    return found != parameters.adapters_.end() ? &found->second.gradients : nullptr;
  }
};

Parameter* Parameters::find(const std::string& name) {
  const auto place = places_.find(name);
  return place != places_.end() ? &all_[place->second] : nullptr;
}

Parameter& Parameters::add(const std::string& name, const std::vector<Index>& shape) {
  places_[name] = all_.size();
  return all_.emplace_back(
      Parameter{name, shape, Buffer<float, 2>(size_of(shape)), Buffer<float, 2>(size_of(shape))});
}

Parameters::Parameters(Checkpoint& checkpoint, const Config& config, const Choice& is_learned)
    : checkpoint_(&checkpoint), config_(config) {
  for (const ExpectedTensor& tensor : expected_tensors(config)) {
    if (!is_learned(tensor.name)) continue;
    Parameter& parameter = add(tensor.name, tensor.shape);
    const std::vector<float> numbers = all_as_floats(checkpoint.tensors().at(tensor.name));
    std::copy(numbers.begin(), numbers.end(), parameter.value.view().data());
  }
}

Parameters::Parameters(Checkpoint& checkpoint, const Config& config, const LoraRule& rule)
    : checkpoint_(&checkpoint), config_(config) {
  const Index r = rule.rank;
  std::vector<ExpectedTensor> tensors = expected_tensors(config);
  if (config.tied_head) {  // the table is no layer, but what it is as the head is one
    tensors.push_back({"lm_head.weight", {config.text.vocabulary, config.text.width}});
  }
  for (const ExpectedTensor& tensor : tensors) {
    const std::string layer = layer_of(tensor.name);
    if (!is_layer(tensor) || !rule.is_target(layer)) continue;
    const Index O = tensor.shape[0], I = tensor.shape[1];
    const std::string module = peft_module(layer);
    const auto number = static_cast<std::uint32_t>(adapters_.size());
    LearnedLora lora{
        all_.size(), all_.size() + 1, Buffer<float, 2>({r, O}), Buffer<float, 2>({r, O}), {},
        {},          rule.scale()};
    begin_lora(rule.seed, number, add(module + ".lora_A.weight", {r, I}).value.view());
    add(module + ".lora_B.weight", {O, r});
    lora.weights = {std::as_const(all_[lora.a].value).view(), std::as_const(lora.turned).view()};
    lora.gradients = {all_[lora.a].gradient.view(), lora.turned_gradient.view()};
    if (checkpoint.tensors().contains(layer + ".bias")) {
      lora.weights.bias = checkpoint.vector<float>(layer + ".bias", O);
    }
    adapters_.emplace(layer, std::move(lora));
  }
  if (adapters_.empty()) throw std::invalid_argument("the model has no such linear layer");
}

template <class Real>
ModelWeights<WeightsOn<Reference, Real>> Parameters::weights() {
  using W = WeightsOn<Reference, Real>;
  if constexpr (Quantized<Real>) {
    format_ = WeightFormat::bf16;
    refresh();
    Values<bf16> vision{*this};
    BlockValues<Real> text{{*this}};
    return load_weights<W>(config_, vision, text);
  } else {
    format_ = kFormatOf<Real>;
    refresh();
    Values<Real> all{*this};
    return load_weights<W>(config_, all);
  }
}
template ModelWeights<HostWeights<float>> Parameters::weights<float>();
template ModelWeights<HostWeights<bf16>> Parameters::weights<bf16>();
template ModelWeights<HostWeights<f16>> Parameters::weights<f16>();
template ModelWeights<QuantizedWeights<Int8Block>> Parameters::weights<Int8Block>();
template ModelWeights<QuantizedWeights<Int4Block>> Parameters::weights<Int4Block>();

ModelWeights<HostGradients> Parameters::gradients() {
  Sums source{*this};
  return load_weights<HostGradients>(config_, source);
}

GradientSums Parameters::sums() const {
  GradientSums sums;
  for (const Parameter& parameter : all_) sums.emplace_back(parameter.gradient.view().shape());
  return sums;
}

ModelWeights<HostGradients> Parameters::gradients(GradientSums& sums) {
  PG_CHECK(sums.size() == all_.size() && adapters_.empty(), "sums of other parameters");
  Sums source{*this, &sums};
  return load_weights<HostGradients>(config_, source);
}

void Parameters::add(GradientSums& sums) {
  for (std::size_t i = 0; i < all_.size(); ++i) {
    float* const gradient = all_[i].gradient.view().data();
    float* const sum = sums[i].view().data();
#pragma omp parallel for
    for (Index k = 0; k < sums[i].view().count(); ++k) {
      gradient[k] += sum[k];
      sum[k] = 0;
    }
  }
}

Linear<HostGradients> Parameters::in_sums(const Linear<HostGradients>& layer,
                                          GradientSums& sums) const {
  Linear<HostGradients> found;
  for (std::size_t i = 0; i < all_.size(); ++i) {
    const float* const gradient = all_[i].gradient.view().data();
    if (gradient == layer.weight.data()) found.weight = sums[i].view();
    if (gradient == layer.bias.data()) found.bias = sums[i].view().row(0);
  }
  return found;
}

void Parameters::zero() {
  for (Parameter& parameter : all_) paligemma::zero(reference, parameter.gradient.view());
  for (auto& [layer, lora] : adapters_) {
    paligemma::zero(reference, lora.turned_gradient.view());
  }
}

void Parameters::collect() {
  for (auto& [layer, lora] : adapters_) {
    turn_lora(lora.turned_gradient.view(), lora.scale, all_[lora.b].gradient.view());
  }
}

void Parameters::refresh() {
  for (auto& [layer, lora] : adapters_) {
    turn_lora(all_[lora.b].value.view(), lora.scale, lora.turned.view());
  }
  if (format_ == WeightFormat::f32 || !adapters_.empty()) return;
  for (Parameter& parameter : all_) round_to(format_, parameter);
}

std::vector<std::string> Parameters::adapted_layers() const {
  std::vector<std::string> layers;
  for (const auto& [layer, lora] : adapters_) layers.push_back(layer);
  return layers;
}

}  // namespace paligemma
