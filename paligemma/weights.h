// The weights of a whole PaliGemma, and the one place that knows what a checkpoint calls them.
//
// load_weights asks `source` for every tensor by name and shape, in order. A source that maps files
// gives a model; one that only writes down what it is asked gives the list of tensors that a
// checkpoint must hold, which is how shapes are checked, parameters counted and files made.
//
//   source.matrix(name, shape)   W::Matrix of shape[0] rows
//   source.vector(name, length)  W::Vector
//   source.adapter(layer)        what an adapter makes of that layer, or null; a source need not have any
//
// The names are those that Hugging Face transformers 5.23.0 writes; checkpoint.h maps the older ones
// to them.
//
// Read next: paligemma/checkpoint.h.
#pragma once

#include <string>
#include <vector>

#include "gemma/decoder.h"
#include "paligemma/config.h"
#include "siglip/attention_pool.h"
#include "siglip/encoder.h"
#include "tensor/weight_format.h"
#include "tensor/weights.h"

namespace paligemma {

template <class W>
struct ModelWeights {
  siglip::EncoderWeights<typename W::Vision> vision;
  siglip::AttentionPoolWeights<typename W::Vision> head;  // nothing where there is none
  Linear<typename W::Vision> projector;                   // [D of the text, D of the pictures]
  gemma::DecoderWeights<W> text;
  Linear<typename W::Vision>
      retrieval;  // ColPali's, behind the final norm; nothing where there is none
};

template <class W, class Source>
const Lora<typename W::Floats>* adapter_from(Source& source, const std::string& layer) {
  if constexpr (requires { source.adapter(layer); }) return source.adapter(layer);
  return nullptr;
}

// With an adapter the layer's bias is in that.
template <class W, class Source>
Linear<W> load_linear(Source& source, const std::string& name, Index O, Index I, bool has_bias) {
  Linear<W> layer{source.matrix(name + ".weight", {O, I})};
  if (has_bias) layer.bias = source.vector(name + ".bias", O);
  layer.adapter = adapter_from<W>(source, name);
  if (layer.adapter != nullptr) layer.bias = {};
  return layer;
}

template <class W, class Source>
siglip::EncoderWeights<W> load_encoder(const siglip::EncoderShape& shape, Source& source) {
  const Index D = shape.width, F = shape.mlp_width, P = shape.patch_size;
  const std::string tower = "vision_tower.";
  const auto linear = [&](const std::string& name, Index O, Index I) {
    return load_linear<W>(source, name, O, I, true);
  };
  const auto layer_norm = [&](const std::string& name) {
    return siglip::LayerNormWeights<W>{source.vector(name + ".weight", D),
                                       source.vector(name + ".bias", D)};
  };

  siglip::EncoderWeights<W> w;
  w.patch_embedding = source.matrix(tower + "embeddings.patch_embedding.weight", {D, 3, P, P});
  w.patch_embedding_bias = source.vector(tower + "embeddings.patch_embedding.bias", D);
  w.position_embedding =
      source.matrix(tower + "embeddings.position_embedding.weight", {shape.patches(), D});
  for (Index i = 0; i < shape.layers; ++i) {
    const std::string layer = tower + "encoder.layers." + std::to_string(i) + ".";
    siglip::EncoderBlockWeights<W>& block = w.blocks.emplace_back();
    block.norm1 = layer_norm(layer + "layer_norm1");
    block.self_attention.q = linear(layer + "self_attn.q_proj", D, D);
    block.self_attention.k = linear(layer + "self_attn.k_proj", D, D);
    block.self_attention.v = linear(layer + "self_attn.v_proj", D, D);
    block.self_attention.out = linear(layer + "self_attn.out_proj", D, D);
    block.norm2 = layer_norm(layer + "layer_norm2");
    block.mlp.fc1 = linear(layer + "mlp.fc1", F, D);
    block.mlp.fc2 = linear(layer + "mlp.fc2", D, F);
  }
  w.post_norm = layer_norm(tower + "post_layernorm");
  return w;
}

template <class W, class Source>
siglip::AttentionPoolWeights<W> load_head(const siglip::EncoderShape& shape, Source& source) {
  const Index D = shape.width, F = shape.head_mlp_width;
  const std::string head = "vision_tower.head.";
  const auto linear = [&](const std::string& name, Index O, Index I) {
    return load_linear<W>(source, head + name, O, I, true);
  };

  siglip::AttentionPoolWeights<W> w;
  w.probe = source.matrix(head + "probe", {1, 1, D});
  w.in = {source.matrix(head + "attention.in_proj_weight", {3 * D, D}),
          source.vector(head + "attention.in_proj_bias", 3 * D)};
  w.out = linear("attention.out_proj", D, D);
  w.norm = {source.vector(head + "layernorm.weight", D), source.vector(head + "layernorm.bias", D)};
  w.mlp.fc1 = linear("mlp.fc1", F, D);
  w.mlp.fc2 = linear("mlp.fc2", D, F);
  return w;
}

template <class W, class Source>
gemma::DecoderWeights<W> load_decoder(const gemma::DecoderShape& shape, bool tied_head,
                                      Source& source) {
  const Index D = shape.width, F = shape.mlp_width, V = shape.vocabulary;
  const Index NH = shape.heads * shape.head_size, KH = shape.kv_heads * shape.head_size;
  const std::string model = "language_model.model.";
  const auto linear = [&](const std::string& name, Index O, Index I) {
    return load_linear<W>(source, name, O, I, false);
  };

  gemma::DecoderWeights<W> w;
  w.embedding = source.matrix(model + "embed_tokens.weight", {V, D});
  w.embedding_adapter = adapter_from<W>(source, model + "embed_tokens");
  for (Index i = 0; i < shape.layers; ++i) {
    const std::string layer = model + "layers." + std::to_string(i) + ".";
    const auto norm = [&](const char* name) { return source.vector(layer + name + ".weight", D); };
    gemma::DecoderBlockWeights<W>& block = w.blocks.emplace_back();
    block.self_attention.q = linear(layer + "self_attn.q_proj", NH, D);
    block.self_attention.k = linear(layer + "self_attn.k_proj", KH, D);
    block.self_attention.v = linear(layer + "self_attn.v_proj", KH, D);
    block.self_attention.out = linear(layer + "self_attn.o_proj", D, NH);
    block.mlp.gate = linear(layer + "mlp.gate_proj", F, D);
    block.mlp.up = linear(layer + "mlp.up_proj", F, D);
    block.mlp.down = linear(layer + "mlp.down_proj", D, F);

    // Gemma 1 calls the norm before the MLP what Gemma 2 calls the norm after attention.
    block.pre_attention_norm = norm("input_layernorm");
    if (shape.norms == gemma::Norms::pre_and_post) {
      block.post_attention_norm = norm("post_attention_layernorm");
      block.pre_mlp_norm = norm("pre_feedforward_layernorm");
      block.post_mlp_norm = norm("post_feedforward_layernorm");
    } else {
      block.pre_mlp_norm = norm("post_attention_layernorm");
    }
  }
  w.final_norm = source.vector(model + "norm.weight", D);
  w.head = tied_head ? Linear<W>{w.embedding, {}, adapter_from<W>(source, "lm_head")}
                     : linear("lm_head", V, D);
  return w;
}

// The language model's weights may come from a source of their own, if they are of another type. What the
// configuration does not have is not asked for: a pooling head, a projector, a language model, ColPali's projection.
template <class W, class Vision, class Text>
ModelWeights<W> load_weights(const Config& config, Vision& vision, Text& text) {
  const Index D = config.text.width;
  ModelWeights<W> w;
  w.vision = load_encoder<typename W::Vision>(config.vision, vision);
  if (config.pooling_head) w.head = load_head<typename W::Vision>(config.vision, vision);
  if (D > 0) {
    w.projector = load_linear<typename W::Vision>(vision, "multi_modal_projector.linear", D,
                                                  config.vision.width, true);
  }
  if (config.text.layers > 0) w.text = load_decoder<W>(config.text, config.tied_head, text);
  if (config.text.layers > 0 && config.retrieval_width > 0) {
    w.retrieval = load_linear<typename W::Vision>(vision, "embedding_proj_layer",
                                                  config.retrieval_width, D, true);
  }
  return w;
}
template <class W, class Source>
ModelWeights<W> load_weights(const Config& config, Source& source) {
  return load_weights<W>(config, source, source);
}

// What a checkpoint of this configuration must hold, in the order above.
std::vector<ExpectedTensor> expected_tensors(const Config& config);

// A matrix of the language model: what is quantised.
bool is_text_matrix(const ExpectedTensor& tensor);

// The sum of their sizes; a tied head counts once.
Index parameter_count(const Config& config);

// Their bytes when they are kept so, be it in a file behind its header or in memory. Of blocks are the language
// model's matrices alone; everything else is bf16 then.
Index weight_bytes(const Config& config, WeightFormat format);

}  // namespace paligemma
