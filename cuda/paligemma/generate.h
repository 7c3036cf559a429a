// The answer on the GPU, token by token. What it must do is paligemma/generate.h's; here one token is
// one graph (cuda/core/graph.h) that knows by itself where it stands: position, token and step are in
// device memory, and its last kernel moves them on. The host hears of each token, and no more.
//
//   token -> embedding -> decoder blocks, six kernels each -> norm -> logits -> sample -> token
//
// The first token after the prefix is computed without a graph, so that everything that it needs is
// allocated; then the same calls are recorded, and replayed for the rest of the answer. A token with
// another prefix or other sampler options than the one before begins this anew.
#pragma once

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <tuple>

#include "cuda/core/device_buffer.h"
#include "cuda/core/device_weights.h"
#include "cuda/core/graph.h"
#include "cuda/gemma/decoder_block.h"
#include "cuda/gemma/prefix_lm_mask.h"
#include "cuda/gemma/rms_norm.h"
#include "cuda/gemma/sampler.h"
#include "cuda/gemma/soft_cap.h"
#include "cuda/gemma/token_embedding.h"
#include "cuda/tensor/linear.h"
#include "paligemma/generate.h"

namespace paligemma {

template <>
struct DecodeState<cuda::Stream> {
  cuda::DeviceBuffer<Index, 1> position{{1}};
  cuda::DeviceBuffer<TokenId, 1> token{{1}};
  cuda::DeviceBuffer<std::uint64_t, 1> step{{1}};
  cuda::DeviceBuffer<cuda::Sampled, 1> sampled{{1}};
  std::map<Index, cuda::DeviceBuffer<KeyRange, 1>> visible = {};  // by window, of one query

  // What a graph keeps as it was recorded, besides where the buffers lie.
  struct Kept {
    const void* model;
    const void*
        keys;  // where the sequence's are: rows of its own, or those that it shares with others
    Index prefix;
    SamplerOptions options;
    bool operator==(const Kept&) const = default;
  };
  std::optional<Kept> kept = {};  // of the token that was queued last; none before the first
  std::optional<cuda::Graph> graph = {};

  // What stands there when the last token is done; -1 before the first.
  TokenId next_token = -1;
  Index next_position = -1;
  Index next_step = -1;
};

namespace cuda {

// token = sampled.id, and position and step one further.
void advance(const Stream& stream, DeviceView<const Sampled, 1> sampled,
             DeviceView<TokenId, 1> token, DeviceView<Index, 1> position,
             DeviceView<std::uint64_t, 1> step);

// Queues one token. Everything that differs from one to the next is read from session.decode.
template <class Real>
void queue_decode(const Model<Stream, DeviceWeights<Real>>& model, Index prefix,
                  Session<Stream>& session, const SamplerOptions& options) {
  const Stream& on = model.on;
  const gemma::DecoderShape& shape = model.text;
  const auto& w = model.weights.text;
  auto& s = session.scratch;
  auto& state = session.decode;
  const auto x = s.x.view().rows(0, 1), normed = s.normed.view().rows(0, 1);

  token_embedding(on, std::as_const(state.token).view(), w.embedding, shape.embedding_scale, x);
  const auto position = std::as_const(state.position).view();
  for (Index window : shape.window) state.visible.try_emplace(window, std::array<Index, 1>{1});
  for (auto& [window, visible] : state.visible)
    prefix_lm_mask(on, position, prefix, window, visible.view());

  for (Index layer = 0; layer < shape.layers; ++layer) {
    const auto& visible = std::as_const(state.visible).at(shape.window[layer]);
    decode_block(on, w.blocks[layer], shape, layer, {session.sequence, position, visible.view()}, s,
                 session.cache);
  }
  rms_norm(on, DeviceView<const float, 2>(x), w.final_norm, {shape.norm_eps, shape.norm_offset},
           normed);
  gemma::logits(on, w, shape, std::array{Index{0}}, s);
  sample(on, s.logits.view().row(0), options, std::as_const(state.step).view(),
         state.sampled.view());
  advance(on, std::as_const(state.sampled).view(), state.token.view(), state.position.view(),
          state.step.view());
}

// Kernels of a decoded token multiply matrices, and know of nothing beside them.
template <class W>
bool is_adapted(const gemma::DecoderWeights<W>& w) {
  const auto any = [](const auto&... layers) { return (layers.adapter || ...); };
  return w.embedding_adapter || std::ranges::any_of(w.blocks, [&](const auto& block) {
           const auto& [a, m] = std::tie(block.self_attention, block.mlp);
           return any(a.q, a.k, a.v, a.out, m.gate, m.up, m.down);
         });
}

// As paligemma/generate.h's.
template <class Real>
Choice decode(const Model<Stream, DeviceWeights<Real>>& model, TokenId id, Index prefix,
              Session<Stream>& session, const SamplerOptions& options, Index step) {
  if (is_adapted(model.weights.text)) {
    forward(model, {&id, 1}, session.scratch.x.view().rows(0, 0), prefix, session, NoTap());
    return choose(model, session, options, step);
  }
  const Stream& on = model.on;
  auto& state = session.decode;
  const Index position = session.cache.length(session.sequence);
  if (id != state.next_token || position != state.next_position || step != state.next_step) {
    const auto number = static_cast<std::uint64_t>(step);
    copy_to_device(on, state.position.view().data(), &position, sizeof position);
    copy_to_device(on, state.token.view().data(), &id, sizeof id);
    copy_to_device(on, state.step.view().data(), &number, sizeof number);
    on.wait();
  }
  session.cache.extend(on, session.sequence, 1);
  const DecodeState<Stream>::Kept kept{&model, session.cache.keys(session.sequence, 0).data(),
                                       prefix, options};
  if (state.kept != kept) {
    queue_decode(model, prefix, session, options);
    state.kept = kept;
    state.graph.reset();
  } else {
    if (!state.graph) {
      state.graph.emplace(on, [&] { queue_decode(model, prefix, session, options); });
    }
    state.graph->launch(on);
  }

  Sampled sampled;
  copy_to_host(on, &sampled, state.sampled.view().data(), sizeof sampled);
  on.wait();
  throw_if_refused(sampled);
  state.next_token = sampled.id, state.next_position = position + 1, state.next_step = step + 1;
  return {sampled.id, sampled.log_probability};
}

}  // namespace cuda
}  // namespace paligemma
