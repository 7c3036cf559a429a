// The JSON files of a preset of Keras.
#include <cmath>
#include <set>

#include "paligemma/keras_preset.h"
#include "tensor/utf8.h"

namespace paligemma {
namespace {

constexpr Index kMaxWidth = 1 << 20;
constexpr Index kMaxLayers = 1024;
constexpr Index kMaxImageSize = 1 << 14;

// What the class takes besides sizes. A name that is not here is one of a later release: it may say anything
// that leaves numbers as they are.
const std::set<std::string> kKnown{"name",
                                   "trainable",
                                   "dtype",  // of computations; the files say what weights are
                                   "vocabulary_size",
                                   "image_size",
                                   "num_layers",
                                   "num_query_heads",
                                   "num_key_value_heads",
                                   "hidden_dim",
                                   "intermediate_dim",
                                   "head_dim",
                                   "vit_patch_size",
                                   "vit_num_heads",
                                   "vit_hidden_dim",
                                   "vit_num_layers",
                                   "vit_intermediate_dim",
                                   "vit_classifier_activation",
                                   "vit_name",
                                   "query_head_dim_normalize",
                                   "use_post_ffw_norm",
                                   "use_post_attention_norm",
                                   "attention_logit_soft_cap",
                                   "final_logit_soft_cap",
                                   "use_sliding_window_attention",
                                   "sliding_window_size",
                                   "layer_norm_epsilon",
                                   "dropout"};  // not where nothing is learnt

Index required(const JsonFields& fields, const char* name, Index max) {
  if (!fields.has(name)) fields.fail(name, "missing");
  return fields.size(name, 0, max);
}

siglip::EncoderShape vision_shape(const JsonFields& fields) {
  siglip::EncoderShape shape;
  shape.image_size = required(fields, "image_size", kMaxImageSize);
  shape.patch_size = required(fields, "vit_patch_size", kMaxImageSize);
  shape.width = required(fields, "vit_hidden_dim", kMaxWidth);
  shape.mlp_width = fields.size("vit_intermediate_dim", 4304, kMaxWidth);
  shape.heads = required(fields, "vit_num_heads", kMaxWidth);
  shape.layers = required(fields, "vit_num_layers", kMaxLayers);
  shape.norm_eps = 1e-6f;
  shape.gelu = GeluForm::tanh;
  if (shape.patch_size > shape.image_size) fields.fail("vit_patch_size", "larger than the picture");
  if (shape.width % shape.heads != 0) {
    fields.fail("vit_num_heads", "does not divide vit_hidden_dim");
  }
  return shape;
}

gemma::DecoderShape text_shape(const JsonFields& fields) {
  gemma::DecoderShape shape;
  shape.vocabulary = required(fields, "vocabulary_size", 1 << 24);
  shape.width = required(fields, "hidden_dim", kMaxWidth);
  shape.layers = required(fields, "num_layers", kMaxLayers);
  shape.heads = required(fields, "num_query_heads", kMaxWidth);
  shape.kv_heads = required(fields, "num_key_value_heads", kMaxWidth);
  shape.head_size = required(fields, "head_dim", kMaxWidth);
  const Index gate_and_up = required(fields, "intermediate_dim", 2 * kMaxWidth);
  if (gate_and_up % 2 != 0) fields.fail("intermediate_dim", "must be even");
  shape.mlp_width = gate_and_up / 2;
  shape.max_positions = 8192;
  shape.embedding_scale = std::sqrt(static_cast<float>(shape.width));
  shape.norm_eps = 1e-6f;
  shape.norm_offset = 1;
  shape.rope_theta = 10000;
  shape.gelu = GeluForm::tanh;
  if (shape.heads % shape.kv_heads != 0) {
    fields.fail("num_key_value_heads", "does not divide num_query_heads");
  }
  if (shape.head_size % 2 != 0) fields.fail("head_dim", "must be even");
  if (shape.heads * shape.head_size > kMaxWidth) {
    fields.fail("head_dim", "all heads together are wider than " + std::to_string(kMaxWidth));
  }
  // Keras's other norms have this one whatever is said.
  if (fields.number("layer_norm_epsilon", 1e-6f, 0, 1) != 1e-6f) {
    fields.fail("layer_norm_epsilon", "is not 1e-06");
  }
  const bool has_post_norms = fields.flag("use_post_attention_norm", false);
  if (fields.flag("use_post_ffw_norm", false) != has_post_norms) {
    fields.fail("use_post_ffw_norm", "is not what use_post_attention_norm is");
  }
  shape.norms = has_post_norms ? gemma::Norms::pre_and_post : gemma::Norms::pre;
  const bool by_head = fields.flag("query_head_dim_normalize", true);
  const Index divisor = by_head ? shape.head_size : shape.width / shape.heads;
  if (divisor == 0) fields.fail("num_query_heads", "more than hidden_dim");
  shape.query_scale = 1.0f / std::sqrt(static_cast<float>(divisor));
  shape.attention_soft_cap = fields.number("attention_logit_soft_cap", kNoSoftCap, 1e-6f, 1e9f);
  shape.final_soft_cap = fields.number("final_logit_soft_cap", kNoSoftCap, 1e-6f, 1e9f);
  shape.window.assign(static_cast<std::size_t>(shape.layers), kNoWindow);
  if (fields.flag("use_sliding_window_attention", false)) {
    for (Index i = 0; i < shape.layers; i += 2) {
      shape.window[i] = fields.size("sliding_window_size", 4096, kMaxWidth);
    }
  }
  return shape;
}

// Keras's name of a function; "linear" is none.
ProjectorActivation projector_activation(const JsonFields& fields) {
  const char* name = "vit_classifier_activation";
  const std::string said = fields.text(name, "linear");
  if (said == "linear") return ProjectorActivation::none;
  if (said == "gelu") return ProjectorActivation::gelu;
  if (said == "tanh") return ProjectorActivation::tanh;
  if (said == "softmax") return ProjectorActivation::softmax;
  fields.fail(name,
              "\"" + printable(said) + "\" is not supported: linear, gelu, tanh and softmax are");
}

float one_number(const JsonFields& fields, const char* name, float absent) {
  if (!fields.has(name)) return absent;
  if (!fields.is_number(name)) fields.fail(name, "must be one number");
  return static_cast<float>(fields.number(name, -1e6, 1e6));
}

}  // namespace

Config keras_config(const JsonFields& top) {
  const std::string type = top.text("class_name");
  if (type != "PaliGemmaBackbone") {
    top.fail("class_name", "\"" + printable(type) + "\" of Keras is not PaliGemmaBackbone");
  }
  const JsonFields fields = top.object("config");
  for (const std::string& name : fields.names()) {
    if (!kKnown.contains(name) && !fields.says_nothing(name)) {
      fields.fail(name, "not supported");
    }
  }
  Config config;
  config.json = top.all();
  config.vision = vision_shape(fields);
  config.text = text_shape(fields);
  config.projector_activation = projector_activation(fields);
  config.architecture =
      config.text.norms == gemma::Norms::pre_and_post ? "paligemma2" : "paligemma";
  config.image_token = static_cast<TokenId>(config.text.vocabulary);  // Keras has none
  config.crops_picture = config.samples_picture = true;
  config.pixel_scale = {1 / 127.5, {1, 1, 1}, {1, 1, 1}};
  return config;
}

void read_image_converter(const JsonFields& top, Config& config) {
  const JsonFields fields = top.object("config");
  if (fields.has("image_size") && fields.whole_numbers("image_size", kMaxImageSize) !=
                                      std::vector<Index>(2, config.vision.image_size)) {
    fields.fail("image_size", "is not the model's, " + std::to_string(config.vision.image_size));
  }
  if (fields.text("interpolation", "bilinear") != "bilinear") {
    fields.fail("interpolation", "is not bilinear");
  }
  for (const char* other : {"antialias", "pad_to_aspect_ratio"}) fields.refuse_unless(other, false);
  config.crops_picture = fields.flag("crop_to_aspect_ratio", true);
  // Absent or null: pixels stay as they are.
  const float offset = one_number(fields, "offset", 0);
  config.pixel_scale = {fields.has("scale") ? fields.number("scale", 0.0, 1.0) : 1.0,
                        {-offset, -offset, -offset},
                        {1, 1, 1}};
}

}  // namespace paligemma
