// A model's weights on the GPU: each tensor of the checkpoint is copied there once, as it is stored.
#pragma once

#include <list>

#include "cuda/core/device_buffer.h"
#include "cuda/core/device_weights.h"
#include "paligemma/checkpoint.h"

namespace paligemma::cuda {

// A source for load_weights (paligemma/weights.h), and the owner of what it hands out.
template <class Real>
class UploadedWeights {
 public:
  UploadedWeights(const Stream& stream, Checkpoint& checkpoint, std::size_t all_bytes,
                  const LoadListener& listener)
      : stream_(stream), checkpoint_(checkpoint), all_(all_bytes), listener_(listener) {}

  DeviceView<const Real, 2> matrix(const std::string& name, const std::vector<Index>& shape) {
    const auto host = checkpoint_.matrix<Real>(name, shape);
    return {upload(host.data(), host.count()), host.shape()};
  }
  DeviceView<const Real, 1> vector(const std::string& name, Index length) {
    return {upload(checkpoint_.vector<Real>(name, length).data(), length), {length}};
  }
  const Lora<DeviceWeights<float>>* adapter(const std::string& layer) {
    const auto* host = checkpoint_.adapter(layer);
    if (host == nullptr) return nullptr;
    return &owned_.adapters.emplace_back(Lora<DeviceWeights<float>>{
        there(host->a), there(host->b), there(host->magnitude), there(host->bias)});
  }

 private:
  // All that is handed out; a list's elements stay where they are.
  struct Owned {
    std::list<DeviceBuffer<Real, 1>> weights;
    std::list<DeviceBuffer<float, 1>> floats;  // of adapters
    std::list<Lora<DeviceWeights<float>>> adapters;
  };

  template <int Rank>
  DeviceView<const float, Rank> there(View<const float, Rank> host) {
    if (host.data() == nullptr) return {};
    const View<const float, 1> numbers(host.data(), {host.count()});
    return {owned_.floats.emplace_back(to_device(stream_, numbers)).view().data(), host.shape()};
  }

  const Real* upload(const Real* numbers, Index count) {
    auto& there =
        owned_.weights.emplace_back(to_device(stream_, View<const Real, 1>(numbers, {count})));
    checkpoint_.forget_copies();
    done_ += there.bytes();
    if (listener_) listener_(done_, all_);
    return there.view().data();
  }

  const Stream& stream_;
  Checkpoint& checkpoint_;
  std::size_t done_ = 0, all_;
  const LoadListener& listener_;
  Owned owned_;

  template <class R>
  friend PlacedWeights<DeviceWeights<R>> place_weights(Stream&, Checkpoint&, const Config&,
                                                       const LoadListener&);
};

// Weights that are float are not to be wasted: then nothing else is rounded either. Throws CudaError if
// there is no room for them.
template <class Real>
PlacedWeights<DeviceWeights<Real>> place_weights(Stream& stream, Checkpoint& checkpoint,
                                                 const Config& config,
                                                 const LoadListener& listener) {
  if constexpr (std::is_same_v<Real, float>) stream.use(Math::float32);
  const Config stored = checkpoint.as_stored(config);
  const auto bytes = static_cast<std::size_t>(parameter_count(stored)) * sizeof(Real);
  UploadedWeights<Real> uploaded(stream, checkpoint, bytes, listener);
  auto weights = load_weights<DeviceWeights<Real>>(stored, uploaded);
  using Owned = typename UploadedWeights<Real>::Owned;
  return {std::move(weights), std::make_shared<const Owned>(std::move(uploaded.owned_))};
}

}  // namespace paligemma::cuda
