#include "paligemma/keras_preset.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "paligemma/weights.h"
#include "tensor/errors.h"
#include "tensor/utf8.h"

namespace paligemma {
namespace {

// A layer's name here and there.
struct LayerName {
  std::string_view ours, keras;
};

constexpr std::array<LayerName, 8> kVisionBlock{{{"layer_norm1", "layer_norm_1"},
                                                 {"self_attn.q_proj", "attn/query_proj"},
                                                 {"self_attn.k_proj", "attn/key_proj"},
                                                 {"self_attn.v_proj", "attn/value_proj"},
                                                 {"self_attn.out_proj", "attn/out_proj"},
                                                 {"layer_norm2", "layer_norm_2"},
                                                 {"mlp.fc1", "mlp_dense_1"},
                                                 {"mlp.fc2", "mlp_dense_2"}}};

constexpr std::array<LayerName, 11> kTextBlock{
    {{"input_layernorm", "pre_attention_norm"},
     {"self_attn.q_proj", "attention/query_dense"},
     {"self_attn.k_proj", "attention/key_dense"},
     {"self_attn.v_proj", "attention/value_dense"},
     {"self_attn.o_proj", "attention/output_dense"},
     {"post_attention_layernorm", "post_attention_norm"},  // of Gemma 1 it is the next
     {"pre_feedforward_layernorm", "pre_ffw_norm"},
     {"mlp.gate_proj", "gating_ffw"},
     {"mlp.up_proj", "gating_ffw_2"},
     {"mlp.down_proj", "ffw_linear"},
     {"post_feedforward_layernorm", "post_ffw_norm"}}};

#define PG_VIT "layers/pali_gemma_vit/layers/pali_gemma_vit_encoder/"
constexpr std::array<LayerName, 6> kOthers{
    {{"vision_tower.embeddings.patch_embedding", PG_VIT "vision_embeddings/patch_embedding"},
     {"vision_tower.embeddings.position_embedding", PG_VIT "vision_embeddings/position_embedding"},
     {"vision_tower.post_layernorm", PG_VIT "encoder_layer_norm"},
     {"multi_modal_projector.linear", "layers/pali_gemma_vit/layers/dense"},
     {"language_model.model.embed_tokens", "layers/reversible_embedding"},
     {"language_model.model.norm", "layers/rms_normalization"}}};

// Blocks of one tower. The first of Keras's has no number.
struct Blocks {
  std::string_view ours, keras;
  std::span<const LayerName> layers;
};
constexpr std::array<Blocks, 2> kBlocks{
    {{"vision_tower.encoder.layers.", PG_VIT "resblocks/pali_gemma_vit_encoder_block",
      kVisionBlock},
     {"language_model.model.layers.", "layers/pali_gemma_decoder_block", kTextBlock}}};
#undef PG_VIT

std::string_view keras_name(std::span<const LayerName> layers, std::string_view ours) {
  const auto found = std::find_if(layers.begin(), layers.end(),
                                  [&](const LayerName& layer) { return layer.ours == ours; });
  PG_CHECK(found != layers.end(), "Keras has no " + std::string(ours));
  return found->keras;
}

std::string keras_layer(std::string_view name, gemma::Norms norms) {
  for (const Blocks& blocks : kBlocks) {
    if (!name.starts_with(blocks.ours)) continue;
    name.remove_prefix(blocks.ours.size());
    const auto dot = name.find('.');
    const std::string number(name.substr(0, dot));
    std::string_view layer = name.substr(dot + 1);
    if (norms == gemma::Norms::pre && layer == "post_attention_layernorm") {
      layer = "pre_feedforward_layernorm";
    }
    return std::string(blocks.keras) + (number == "0" ? "" : "_" + number) + "/" +
           std::string(keras_name(blocks.layers, layer));
  }
  return std::string(keras_name(kOthers, name));
}

}  // namespace

KerasTensor keras_tensor(const ExpectedTensor& tensor, const Config& config) {
  const std::string_view name = tensor.name;
  const bool is_bias = name.ends_with(".bias");
  const std::string_view layer = name.substr(0, name.rfind('.'));
  const std::string path =
      keras_layer(layer, config.text.norms) + (is_bias ? "/vars/1" : "/vars/0");

  const std::vector<Index>& ours = tensor.shape;
  const Index O = ours[0];
  if (ours.size() == 4) {
    const Index P = ours[2];
    return {path, {P, P, 3, O}, StoredOrder{{O, 3, P * P}, {1, O, 3 * O}}};
  }
  const bool is_table = layer.ends_with(".position_embedding") || layer.ends_with(".embed_tokens");
  if (ours.size() == 1 || is_table) return {path, ours, {}};

  const Index I = ours[1], H = config.text.head_size;
  if (name.starts_with("language_model.")) {
    if (layer.ends_with(".o_proj")) {
      return {path, {I / H, H, O}, StoredOrder{{1, O, I}, {0, 1, O}}};
    }
    if (layer.find(".self_attn.") != layer.npos) {
      return {path, {O / H, I, H}, StoredOrder{{O / H, H, I}, {I * H, 1, H}}};
    }
  }
  return {path, {I, O}, StoredOrder{{1, O, I}, {0, 1, O}}};
}

std::map<std::string, TensorEntry> datasets_of(std::span<const Hdf5File> files) {
  std::map<std::string, TensorEntry> found;
  for (const Hdf5File& file : files) {
    for (const auto& dataset : file.datasets()) {
      if (found.insert(dataset).second) continue;
      throw ModelFileError(file.path().string() + ": dataset " + printable(dataset.first) +
                           " is there twice");
    }
  }
  return found;
}

std::map<std::string, WeightEntry> keras_entries(std::map<std::string, TensorEntry> found,
                                                 const Config& config, const std::string& path) {
  for (const auto& [name, entry] : found) {
    const std::string where = path + ": dataset " + printable(name);
    if (name.starts_with("lora/")) {
      throw ModelFileError(where +
                           " is a LoRA's: load it with load_lora_weights and write the "
                           "model with save_to_preset, in keras_hub");
    }
    if (entry.dtype == DType::i8) {
      throw ModelFileError(where +
                           " is int8: presets that Keras has quantised are not read; take "
                           "the one that it was made from, which --dtype int8 makes smaller");
    }
  }
  std::map<std::string, WeightEntry> entries;
  for (const ExpectedTensor& tensor : expected_tensors(config)) {
    const KerasTensor there = keras_tensor(tensor, config);
    const std::string where = path + ": dataset " + there.path;
    const auto entry = found.extract(there.path);
    if (!entry) throw ModelFileError(where + " is missing");
    const TensorEntry& stored = entry.mapped();
    if (stored.shape != there.shape) {
      throw ModelFileError(where + " is " + shape_text(stored.shape) + ", config.json makes it " +
                           shape_text(there.shape));
    }
    entries[tensor.name] = {weight_format_of(stored, where), tensor.shape, stored.bytes,
                            there.order};
  }
  if (!found.empty()) {
    throw ModelFileError(path + ": dataset " + printable(found.begin()->first) +
                         " is not part of this model");
  }
  return entries;
}

}  // namespace paligemma
