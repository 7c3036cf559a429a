// A decoder's random weights (gemma.h) on the device.
#pragma once

#include <deque>

#include "cuda/core/device_buffer.h"
#include "cuda/core/device_weights.h"
#include "gemma/decoder.h"

namespace paligemma::test {

template <class Weight>
class WeightsThere {
 public:
  explicit WeightsThere(const cuda::Stream& stream) : stream_(stream) {}

  gemma::DecoderBlockWeights<cuda::DeviceWeights<Weight>> block(
      const gemma::DecoderBlockWeights<HostWeights<Weight>>& w) {
    return {there(w.pre_attention_norm),
            {there(w.self_attention.q), there(w.self_attention.k), there(w.self_attention.v),
             there(w.self_attention.out)},
            there(w.post_attention_norm),
            there(w.pre_mlp_norm),
            {there(w.mlp.gate), there(w.mlp.up), there(w.mlp.down)},
            there(w.post_mlp_norm)};
  }

  gemma::DecoderWeights<cuda::DeviceWeights<Weight>> decoder(
      const gemma::DecoderWeights<HostWeights<Weight>>& w) {
    gemma::DecoderWeights<cuda::DeviceWeights<Weight>> all;
    all.embedding = there(w.embedding);
    for (const auto& of_block : w.blocks) all.blocks.push_back(block(of_block));
    all.final_norm = there(w.final_norm);
    all.head = {all.embedding};
    return all;
  }

 private:
  Linear<cuda::DeviceWeights<Weight>> there(const Linear<HostWeights<Weight>>& layer) {
    return {there(layer.weight)};
  }

  template <int Rank>
  DeviceView<const Weight, Rank> there(View<const Weight, Rank> host) {
    if (host.count() == 0) return {};  // a norm that Gemma 1 does not have
    const View<const Weight, 1> numbers(host.data(), {host.count()});
    return {buffers_.emplace_back(to_device(stream_, numbers)).view().data(), host.shape()};
  }

  const cuda::Stream& stream_;
  std::deque<cuda::DeviceBuffer<Weight, 1>> buffers_;
};

}  // namespace paligemma::test
