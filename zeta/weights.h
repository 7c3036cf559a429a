// The weights of zeta's models, and the one place that knows what state_dict() calls them.
//
// load_... asks `source` for every tensor by name and shape, in order, as paligemma/weights.h does:
//
//   source.matrix(name, shape, times)   W::Matrix of rows of shape.back() numbers, all of them `times` over
//   source.vector(name, length)         W::Vector
//   source.repeated(name, length)       W::Vector: a single number again and again; without a name, ones
//   source.numbers(name, shape)         std::vector<float>, on the host
//
// Query head n reads key head n mod K in zeta, n / (N / K) in tensor/scaled_dot_product_attention.h. Where
// heads are shared, but not by all, the keys' and values' layers are therefore repeated.
//
// Source: zetascale 2.8.8 and x-transformers 1.19.0. Read next: zeta/checkpoint.h.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tensor/numbers.h"
#include "tensor/weights.h"
#include "zeta/palme.h"

namespace paligemma::zeta {

// Reads tensors as numbers and places them where an executor reads them, which must live as long.
template <class On, class Real>
class WeightStore {
 public:
  using W = WeightsOn<On, Real>;
  // All numbers of a tensor; throws ModelFileError if it is not there, or of another shape.
  using Reader = std::function<std::vector<float>(const std::string&, const std::vector<Index>&)>;

  WeightStore(const On& on, Reader read) : on_(on), read_(std::move(read)) {}

  typename W::Matrix matrix(const std::string& name, const std::vector<Index>& shape,
                            Index times = 1) {
    std::vector<float> numbers = read_(name, shape);
    const std::vector<float> once = numbers;
    for (Index i = 1; i < times; ++i) numbers.insert(numbers.end(), once.begin(), once.end());
    const Index columns = shape.back(), count = static_cast<Index>(numbers.size());
    return {place(numbers), {count / columns, columns}};
  }
  typename W::Vector vector(const std::string& name, Index length) {
    return {place(read_(name, {length})), {length}};
  }
  typename W::Vector repeated(const std::string& name, Index length) {
    const float number = name.empty() ? 1.0f : read_(name, {1})[0];
    return {place(std::vector<float>(static_cast<std::size_t>(length), number)), {length}};
  }
  std::vector<float> numbers(const std::string& name, const std::vector<Index>& shape) {
    return read_(name, shape);
  }

 private:
  const Real* place(const std::vector<float>& numbers) {
    const auto count = static_cast<Index>(numbers.size());
    Buffer<Real, 1> here({count}, unwritten);
    for (Index i = 0; i < count; ++i) {
      here.view()(i) = narrow<Real>(numbers[static_cast<std::size_t>(i)]);
    }
    auto& placed = placed_.emplace_back(typename BufferOn<On, Real, 1>::Shape{count}, unwritten);
    copy_from_host(on_, std::as_const(here).view(), placed.view());
    return placed.view().data();
  }

  const On& on_;
  Reader read_;
  std::deque<BufferOn<On, Real, 1>> placed_;
};

template <class W, class Source>
NormWeights<W> load_norm(NormKind kind, const std::string& name, Index D, Source& source) {
  switch (kind) {
    case NormKind::layer:
      return {source.vector(name + ".weight", D), source.vector(name + ".bias", D)};
    case NormKind::rms:
      return {source.vector(name + ".g", D)};
    case NormKind::simple_rms:
      return {source.repeated("", D)};
    case NormKind::scale:
      return {source.repeated(name + ".g", D)};
  }
  return {};
}

template <class W, class Source>
Linear<W> load_linear(const std::string& name, Index O, Index I, Source& source, bool bias = true) {
  Linear<W> linear{source.matrix(name + ".weight", {O, I})};
  if (bias) linear.bias = source.vector(name + ".bias", O);
  return linear;
}

template <class W, class Source>
MultiHeadWeights<W> load_multi_head(const LayersShape& shape, const std::string& name,
                                    Source& source) {
  const Index D = shape.width, H = shape.head_size, NH = shape.heads * H, KH = shape.kv_heads * H;
  const Index times = shape.stored_heads() / shape.kv_heads;
  MultiHeadWeights<W> w;
  if (shape.unit_scales) {
    w.q_scale = source.vector(name + ".qk_norm_q_scale", H);
    w.k_scale = source.vector(name + ".qk_norm_k_scale", H);
  }
  w.q = {source.matrix(name + ".to_q.weight", {NH, D})};
  w.k = {source.matrix(name + ".to_k.weight", {KH, D}, times)};
  w.v = {source.matrix(name + ".to_v.weight", {KH, D}, times)};
  w.out = {source.matrix(name + ".to_out.weight", {D, NH})};
  return w;
}

template <class W, class Source>
FeedForwardWeights<W> load_feed_forward(const LayersShape& layers, const std::string& name,
                                        Source& source) {
  const FeedForwardShape& shape = layers.feed_forward;
  const Index D = layers.width, F = shape.width;
  FeedForwardWeights<W> w;
  if (shape.gated) {
    const Linear<W> both = load_linear<W>(name + ".ff.0.proj", 2 * F, D, source);
    w.up = {both.weight.rows(0, F), both.bias.rows(0, F)};
    w.gate = {both.weight.rows(F, 2 * F), both.bias.rows(F, 2 * F)};
    if (shape.gate_scale) w.factor = source.vector(name + ".ff.0.mult_bias", F);
  } else {
    w.up = load_linear<W>(name + ".ff.0.0", F, D, source, shape.bias);
  }
  if (shape.norm_hidden) w.hidden_norm = load_norm<W>(NormKind::layer, name + ".ff.1", F, source);
  w.down = load_linear<W>(name + (shape.norm_hidden ? ".ff.3" : ".ff.2"), D, F, source, shape.bias);
  return w;
}

template <class Source>
DistanceWeights load_distance(const LayersShape& layers, const std::string& name, Source& source) {
  const DistanceShape& shape = layers.distance;
  DistanceWeights w;
  if (shape.buckets > 0) {
    w.buckets =
        source.numbers(name + "relative_attention_bias.weight", {shape.buckets, layers.heads});
  }
  const Index width = layers.width / 4;
  for (Index i = 0; i < shape.mlp_layers + (shape.mlp_layers > 0); ++i) {
    const bool last = i == shape.mlp_layers;
    const std::string layer = name + "mlp." + std::to_string(i) + (last ? "" : ".0");
    const Index O = last ? layers.heads : width, I = i == 0 ? 1 : width;
    auto& of_layer = w.mlp.emplace_back();
    of_layer.weight = source.numbers(layer + ".weight", {O, I});
    of_layer.bias = source.numbers(layer + ".bias", {O});
    if (last || !shape.mlp_norm) continue;
    const std::string norm = name + "mlp." + std::to_string(i) + ".1";
    of_layer.norm_scale = source.numbers(norm + ".weight", {O});
    of_layer.norm_bias = source.numbers(norm + ".bias", {O});
  }
  return w;
}

template <class W, class Source>
LayersWeights<W> load_layers(const LayersShape& shape, const std::string& name, Source& source) {
  const Index D = shape.width;
  const bool macaron = shape.feed_forward.factor != 1;
  LayersWeights<W> w;
  for (std::size_t i = 0; i < shape.blocks.size(); ++i) {
    const std::string layer = name + "layers." + std::to_string(i) + ".";
    const auto norm = [&](const char* which) {
      return load_norm<W>(shape.norm, layer + which, D, source);
    };
    BlockWeights<W>& block = w.blocks.emplace_back();
    if (shape.norm_before) block.norm = norm("0.0");
    if (shape.norm_branch) block.branch_norm = norm("0.1");
    if (!shape.norm_before) block.norm = norm("0.2");
    if (shape.blocks[i] == BlockKind::feed_forward) {
      block.feed_forward = load_feed_forward<W>(shape, layer + (macaron ? "1.fn" : "1"), source);
    } else {
      block.attention = load_multi_head<W>(shape, layer + "1", source);
    }
    if (shape.residual_scales) {
      block.residual_scale = source.vector(layer + "2.residual_scale", D);
    }
  }
  w.distance = load_distance(shape, name + "rel_pos.", source);
  if (shape.norm_before || shape.dual) {
    w.final_norm = load_norm<W>(shape.norm, name + "final_norm", D, source);
  }
  return w;
}

template <class W, class Source>
TransformerWeights<W> load_transformer(const TransformerShape& shape, const std::string& name,
                                       Source& source) {
  const Index D = shape.layers.width, E = shape.embedding_width;
  TransformerWeights<W> w;
  if (shape.memory_tokens > 0) {
    w.memory_tokens = source.matrix(name + "memory_tokens", {shape.memory_tokens, D});
  }
  w.words = source.matrix(name + "token_emb.emb.weight", {shape.vocabulary, E});
  if (shape.positions == Positions::learned) {
    w.positions = source.matrix(name + "pos_emb.emb.weight", {shape.max_positions, E});
  } else if (shape.positions == Positions::sinusoidal) {
    w.sinusoid_scale = source.numbers(name + "pos_emb.scale", {1})[0];
  }
  if (shape.norm_embeddings) {
    w.embedding_norm = load_norm<W>(NormKind::layer, name + "post_emb_norm", E, source);
  }
  if (E != D) w.project = load_linear<W>(name + "project_emb", D, E, source);
  w.layers = load_layers<W>(shape.layers, name + "attn_layers.", source);
  w.head = shape.tied_head ? Linear<W>{w.words}
                           : load_linear<W>(name + "to_logits", shape.outputs, D, source);
  return w;
}

template <class W, class Source>
VisionWeights<W> load_vision(const VisionShape& shape, const std::string& name, Source& source) {
  const Index D = shape.layers.width, pixels = shape.patch_numbers();
  const std::string patches = name + "patch_to_embedding.";
  VisionWeights<W> w;
  w.positions = source.matrix(name + "pos_embedding", {1, shape.patches(), D});
  w.patch_norm = load_norm<W>(NormKind::layer, patches + "0", pixels, source);
  w.patches = load_linear<W>(patches + "1", D, pixels, source);
  w.stem_norm = load_norm<W>(NormKind::layer, patches + "2", D, source);
  if (shape.norm_embeddings) {
    w.embedding_norm = load_norm<W>(NormKind::layer, name + "post_emb_norm", D, source);
  }
  w.layers = load_layers<W>(shape.layers, name + "attn_layers.", source);
  if (shape.classes > 0) w.head = load_linear<W>(name + "mlp_head", shape.classes, D, source);
  return w;
}

template <class W, class Source>
PalmEWeights<W> load_palme(const PalmEShape& shape, Source& source) {
  return {load_vision<W>(shape.vision, "encoder.", source),
          load_transformer<W>(shape.text, "decoder.net.", source)};
}

}  // namespace paligemma::zeta
